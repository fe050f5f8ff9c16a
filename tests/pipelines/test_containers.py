"""The whole chain in containers, and everything it needs as a team has it: accounts, PostgreSQL, S3."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from docker_engine import Engine
from local_pipeline import artifacts, pipelines
from mlflow import MlflowClient
from platform_server import Platform

from hrm.data.dataset import open_dataset

pytestmark = pytest.mark.services


@pytest.fixture
def environment(engine: Engine, platform: Platform) -> dict[str, str]:
    """Of a person who starts a pipeline here."""
    return {**engine.environment, **platform.team.environment, **platform.environment}


@pytest.fixture
def client(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Of somebody with an account who opens the registry."""
    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(platform.tracking_uri)
    return MlflowClient(platform.tracking_uri)


def test_source_to_registry(
    project: Path, image: str, environment: dict[str, str], platform: Platform, client: MlflowClient
) -> None:
    """Credentials come from the environment, checkpoints go to a bucket, and nothing lies about afterwards."""
    arguments = ["--experiment", "sudoku-mini", "-o", "train.processes=2", "--param", "register_as=boxed"]
    arguments += ["--param", "mirror=s3://hrm/checkpoints", "--param", "minimum_scores={token_accuracy: 0.01}"]
    done = pipelines(project, "run", "--local", "--docker", image, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    assert platform.password not in done.stderr
    assert {path.name for path in project.iterdir()} == {"params.yaml", "runs"}

    version = client.get_model_version_by_alias("boxed", "champion")
    dataset = open_dataset(Path(artifacts(project, "build")["dataset"]["uri"]))
    assert version.tags["dataset_digest"] == dataset.digest
    assert len(version.tags["git_commit"]) == 40  # the image knows the commit that it was built of
    model = mlflow.pyfunc.load_model("models:/boxed@champion")
    question = dataset.puzzle.format(dataset.test.questions.grid(0))
    assert len(model.predict(pd.DataFrame({"puzzle": [question]}))["answer"][0]) == 16

    store = platform.team.client()
    mirrored = [item["Key"] for item in store.list_objects_v2(Bucket="hrm", Prefix="checkpoints/")["Contents"]]
    store.close()
    assert any(key.endswith("model.safetensors") for key in mirrored)


def test_a_step_that_raises_fails_the_run(
    project: Path, image: str, environment: dict[str, str], client: MlflowClient
) -> None:
    arguments = ["--experiment", "maze-mini", "-o", "build.min_rating=1000000"]
    done = pipelines(project, "run", "--local", "--docker", image, *arguments, **environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("hrm: error: step build failed: ")
    experiment = client.get_experiment_by_name("maze-mini")
    assert experiment is not None
    (failed,) = client.search_runs([experiment.experiment_id])
    assert failed.info.status == "FAILED"
