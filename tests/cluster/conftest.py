"""A cluster of one API server, a bucket between launcher and nodes, and a training of a few seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_api import KubeApi
from kube_server import running_api
from s3_server import S3Server
from small_run import SETTINGS, sudoku_dataset, use_embedded_mlflow

from hrm.cluster import Job
from hrm.config import CheckpointSettings, OptimizerSettings, TrainSettings
from hrm.stages.train import train

SHORT = SETTINGS.model_copy(
    update={
        "optimizer": OptimizerSettings(lr=3e-3, warmup_steps=5),
        "epochs": 240,
        "eval_every": 120,
        "log_every": 20,
        "processes": 2,
    }
)
"""240 steps, of some milliseconds each."""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sudoku_dataset(tmp_path_factory.mktemp("data")).path


@pytest.fixture(scope="session")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that two processes of one machine leave."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        use_embedded_mlflow(folder, patch)
        train(SHORT, dataset, folder / "run", "tiny")
    return folder / "run"


@pytest.fixture
def settings(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """With a mirror in a bucket of its own."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    checkpoints = CheckpointSettings(mirror=f"s3://{s3.fresh_bucket()}/hrm", every_steps=20)
    return SHORT.model_copy(update={"checkpoints": checkpoints})


@pytest.fixture
def job() -> Job:
    return Job(image="registry.test/hrm:1", nodes=2, gpus_per_node=0, run_id="run-1")


def use_cluster(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process as well, where the client has looked at the variable when it was imported."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    monkeypatch.setattr("hrm.cluster.trainjobs.PAUSE", 0.1)
    monkeypatch.setattr("hrm.cluster.following.PAUSE", 0.1)
    with running_api(tmp_path) as (api, kubeconfig):
        use_cluster(kubeconfig, monkeypatch)
        yield api


@pytest.fixture(autouse=True)
def embedded_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_embedded_mlflow(tmp_path, monkeypatch)
