"""What a training asks of the cluster, and what its nodes are told."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.settings import Name, NonNegativeInt, Settings

DAY = 24 * 60 * 60
SECRETS = "/etc/hrm"
"""Where nodes find their secrets, `<secret>/<KEY>` each: the environment of a node cannot name a secret."""
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
"""The value of a Kubernetes label."""


class Toleration(Settings):
    """A taint that nodes may have nevertheless, as Kubernetes writes it."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    tolerationSeconds: int | None = None


class Job(Settings):
    """What a training on several nodes asks of the cluster."""

    image: str = Field(min_length=1)
    """Of the nodes; it holds this package."""
    nodes: PositiveInt
    """Pods that train together."""
    gpus_per_node: NonNegativeInt = 8
    """GPUs of each, a process on each GPU; 0 for a trial on one CPU core a node."""
    runtime: str = "torch-distributed"
    """The TrainingRuntime or ClusterTrainingRuntime that the job is made from."""
    namespace: str | None = None
    """Where the job runs; the launcher's own when left out."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the machines that may be taken."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints of machines that may be taken nevertheless."""
    shared_memory: str = Field("16Gi", pattern=r"^[1-9][0-9]*(Mi|Gi)$")
    """Largest size of /dev/shm, through which the processes of a node talk; it counts as the pod's memory."""
    timeout: PositiveInt = 3 * DAY
    """Seconds after its start at which the cluster ends the job, also one whose launcher is gone."""
    run_id: Label
    """Of the pipeline's run: a launcher that is started again in it takes up its job; another starts anew."""


class Work(Settings):
    """What every node is told; it holds no credential."""

    name: Name
    """Of the experiment."""
    train: TrainSettings
    dataset: str
    """The `s3://` folder that the dataset is stored in."""
    run: str
    """The `s3://` folder for the finished run."""


def job_name(name: str, settings: TrainSettings, dataset: Dataset, run_id: str) -> str:
    """The TrainJob of this training in this run of a pipeline: the same whenever and wherever it is asked for."""
    identity = json.dumps([name, settings.trajectory, settings.ending, dataset.digest, run_id], sort_keys=True)
    # A DNS label with room for what is added to it: pods are named <job>-node-0-15-abcde, in 63 characters.
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:24].strip("-")
    return f"hrm-{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def work_of(name: str, settings: TrainSettings, dataset: Dataset, job: str) -> Work:
    """The work of the nodes, between whom and the launcher files go through the mirror's bucket."""
    mirror = settings.checkpoints.mirror
    assert mirror is not None
    scratch = f"{mirror.rstrip('/')}/.nodes"  # no experiment's name begins so
    return Work(name=name, train=settings, dataset=f"{scratch}/datasets/{dataset.digest}", run=f"{scratch}/runs/{job}")


def command_of(work: Work) -> list[str]:
    """What a node runs. The controller tells torchrun how many processes there are, and where they meet."""
    return ["torchrun", "--max-restarts=3", "-m", "hrm.cluster.node", SECRETS, work.model_dump_json()]
