"""What each step asks of a cluster: processors, memory, time, retries, secrets, and where it may run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

HOUR = 3600
GPU = "nvidia.com/gpu"
SECRETS = {
    "hrm-mlflow": ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    "hrm-s3": ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"),
    "hrm-wandb": ("WANDB_API_KEY",),
}
"""Keys of the Kubernetes secrets; each becomes a variable of its own name."""
REQUIRED = {"hrm-mlflow"}
"""Without it a step does not start: it would register the model in a database that ends with its container."""


@dataclass(frozen=True)
class Place:
    """Where the steps of a run may go; each a parameter of the pipeline."""

    image: Any
    node_selector: Any
    tolerations: Any


@dataclass(frozen=True)
class Needs:
    """What a step asks for."""

    cpu: str
    memory: str
    hours: float
    """After which it is ended, all its attempts together."""
    retries: int = 2
    cached: bool = False
    """Whether an equal step before may answer in its place."""
    secrets: tuple[str, ...] = ()
    shared_memory: str | None = None
    """Size of /dev/shm, which NCCL needs and containers have 64 MB of."""


SETTINGS = Needs(cpu="1", memory="2Gi", hours=0.25, retries=1)
DATA = Needs(cpu="2", memory="8Gi", hours=4, cached=True)
TRAINING = Needs(
    cpu="16", memory="96Gi", hours=72, retries=5, secrets=("hrm-mlflow", "hrm-s3", "hrm-wandb"), shared_memory="16Gi"
)
FOLLOWING = Needs(cpu="1", memory="4Gi", hours=72, retries=5, secrets=("hrm-mlflow", "hrm-s3"))
EVALUATION = Needs(cpu="4", memory="32Gi", hours=12)
VOTING = Needs(cpu="2", memory="32Gi", hours=2)
REGISTRATION = Needs(cpu="1", memory="8Gi", hours=1, secrets=("hrm-mlflow", "hrm-wandb"))
RECORDING = Needs(cpu="1", memory="2Gi", hours=0.25, secrets=("hrm-mlflow",))


def provide(task: dsl.PipelineTask, needs: Needs, place: Place, gpus: Any = None) -> dsl.PipelineTask:
    """Give a step what it needs.

    Args:
        task: the step.
        needs: what it asks for.
        place: where it may run.
        gpus: how many, as text or as a parameter that holds text; None for a step without GPUs, which then needs
            neither their nodes nor what those tolerate.
    """
    task.set_container_image(place.image)
    task.set_cpu_request(needs.cpu).set_memory_request(needs.memory).set_memory_limit(needs.memory)
    seconds = int(needs.hours * HOUR)
    # The longest "backoff" is the time since the first attempt began after which there is none more, nor goes one on.
    task.set_retry(needs.retries, backoff_duration="60s", backoff_factor=2, backoff_max_duration=f"{seconds}s")
    task.set_caching_options(enable_caching=needs.cached)
    kubernetes.set_timeout(task, seconds)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    for secret in needs.secrets:
        keys = {key: key for key in SECRETS[secret]}
        kubernetes.use_secret_as_env(task, secret, secret_key_to_env=keys, optional=secret not in REQUIRED)
    if needs.shared_memory:
        kubernetes.empty_dir_mount(task, "dshm", "/dev/shm", medium="Memory", size_limit=needs.shared_memory)  # noqa: S108
    if gpus is not None:
        task.set_accelerator_type(GPU).set_accelerator_limit(gpus)
        task.register_pipeline_channels([gpus])  # inside a loop or a handler, a limit alone is not passed on
        kubernetes.add_node_selector_json(task, place.node_selector)
        kubernetes.add_toleration_json(task, place.tolerations)
    return task
