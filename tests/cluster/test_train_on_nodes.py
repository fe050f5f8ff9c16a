"""From a launcher to a finished run: two nodes that are real processes, a real S3 server between them."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_api import KubeApi
from kubelet import Kubelet
from s3_server import SECRET, S3Server

from hrm.cluster import Job, train_on_nodes
from hrm.config import TrainSettings
from hrm.training.bucket import Bucket

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture
def kubelet(api: KubeApi, s3: S3Server, tmp_path: Path) -> Iterator[Kubelet]:
    of_s3 = {name: s3.environment[name] for name in VARIABLES}
    secrets = {"hrm-s3": of_s3, "hrm-mlflow": {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db\n"}}
    kubelet = Kubelet(api, tmp_path / "nodes", secrets, replacements=6)
    yield kubelet
    kubelet.close()


def test_a_node_is_lost_and_what_comes_back_is_what_one_machine_leaves(
    kubelet: Kubelet,
    api: KubeApi,
    settings: TrainSettings,
    dataset: Path,
    finished: Path,
    job: Job,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It is the node with the checkpoints on its disk: its replacement has an empty one."""
    (tmp_path / "run").mkdir()  # as a step's work folder is there already
    murderer = threading.Thread(target=lose_first_node, args=(kubelet, settings))
    murderer.start()
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    murderer.join()
    assert len(api.created) == 1
    assert [pod.body["status"]["phase"] for pod in api.pods] == ["Failed", "Failed", "Succeeded", "Succeeded"]
    assert_same_run(tmp_path / "run", finished)
    followed = capfd.readouterr().out
    assert "going on from the mirror's step" in followed, "the log of the second pod"
    assert "step 240 of 240" in followed
    logged = json.loads((tmp_path / "run/mlflow_run.json").read_text())
    assert logged["tracking_uri"] == f"sqlite:///{tmp_path}/mlflow.db", "its address came as a secret"
    assert SECRET not in json.dumps(api.created)


def lose_first_node(kubelet: Kubelet, settings: TrainSettings) -> None:
    """Once a checkpoint is in the mirror."""
    mirror, until = Bucket(settings.checkpoints.mirror), time.monotonic() + 120
    while not any(name.startswith("tiny/") and name.endswith("/model.json") for name in mirror.names()):
        assert time.monotonic() < until
        time.sleep(0.05)
    mirror.close()
    kubelet.kill(0)


def assert_same_run(ours: Path, theirs: Path) -> None:
    """Every file of a finished run, but for what tells one training from another by intention."""
    files = [sorted(path.relative_to(run) for path in run.rglob("[!.]*")) for run in (ours, theirs)]
    assert files[0] == files[1]
    (checkpoint,) = (theirs / "checkpoints").iterdir()
    same = [f"checkpoints/{checkpoint.name}/{name}" for name in ("model.safetensors", "training.safetensors")]
    for name in (*same, f"checkpoints/{checkpoint.name}/training.json", "curves.csv"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    our, their = (json.loads((run / "train.provenance.json").read_text()) for run in (ours, theirs))
    assert our["settings"].pop("checkpoints") != their["settings"].pop("checkpoints")
    assert our == their
    our, their = (json.loads((run / "train.json").read_text()) for run in (ours, theirs))
    assert our | {"samples_per_second": 0} == their | {"samples_per_second": 0}
