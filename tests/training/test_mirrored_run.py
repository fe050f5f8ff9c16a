"""A run whose machine is lost goes on from the mirror, on a real S3 server."""

import json
import shutil
from pathlib import Path

import pytest
from s3_server import S3Server
from small_run import wait_until
from trainings import assert_equal, final_step, stopped

from hrm.config import TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.tracking.curves import read_curves
from hrm.tracking.server import connect
from hrm.tracking.tracker import MlflowTracker
from hrm.training.loop import Training
from hrm.training.saver import Saver


@pytest.fixture
def mirrored(settings: TrainSettings, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """A checkpoint every five steps, mirrored."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    mirror = f"s3://{s3.fresh_bucket()}/runs"
    checkpoints = settings.checkpoints.model_copy(update={"mirror": mirror, "every_steps": 5})
    return settings.model_copy(update={"checkpoints": checkpoints})


def test_a_new_machine_goes_on(
    mirrored: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk is empty; weights and metrics are those of a run that was never stopped."""
    train(mirrored, dataset, tmp_path / "whole", "whole")
    stopped(mirrored, dataset, tmp_path / "lost", monkeypatch, before_step=19)
    shutil.rmtree(tmp_path / "lost")
    steps = []
    real = Training.validate
    monkeypatch.setattr(Training, "validate", lambda self: (steps.append(self.state.step), real(self)))
    train(mirrored, dataset, tmp_path / "found", "tiny")
    assert steps == [20, 25], "not from the start"
    assert_equal(tmp_path / "whole", tmp_path / "found")


def test_a_new_machine_goes_on_in_the_same_run_of_mlflow(
    mirrored: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left running, and each point is there once."""
    monkeypatch.setattr(MlflowTracker, "INTERVAL", 0.01)
    wait = Saver.save

    def logged_first(self: Saver, *arguments: object, **options: object) -> None:
        wait_until((tmp_path / "lost/mlflow_run.json").exists)
        wait(self, *arguments, **options)

    monkeypatch.setattr(Saver, "save", logged_first)
    stopped(mirrored, dataset, tmp_path / "lost", monkeypatch, before_step=19)
    place = json.loads((tmp_path / "lost/mlflow_run.json").read_text())
    shutil.rmtree(tmp_path / "lost")
    monkeypatch.setattr(Saver, "save", wait)
    train(mirrored, dataset, tmp_path / "found", "tiny")
    client = connect()
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert (run.info.run_id, run.info.status) == (place["run_id"], "FINISHED")
    metric = "train/gradient_norm"
    steps = [point.step for point in client.get_metric_history(run.info.run_id, metric)]
    curves = read_curves(tmp_path / "found/curves.csv")
    assert sorted(steps) == sorted(step for step, row in curves.items() if metric in row) != []


def test_another_run_of_the_same_name_has_a_folder_of_its_own(
    mirrored: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(mirrored, dataset, tmp_path / "one", monkeypatch, before_step=19)
    train(mirrored.model_copy(update={"seed": 1}), dataset, tmp_path / "other", "tiny")
    shutil.rmtree(tmp_path / "one")
    train(mirrored, dataset, tmp_path / "one", "tiny")
    train(
        mirrored.model_copy(update={"checkpoints": mirrored.checkpoints.model_copy(update={"mirror": None})}),
        dataset,
        tmp_path / "whole",
        "tiny",
    )
    assert_equal(tmp_path / "whole", tmp_path / "one")


def test_the_best_comes_from_the_mirror_too(
    mirrored: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored = mirrored.model_copy(update={"result": "best"})
    scores = iter([0.5, 0.4, 0.4, 0.3])  # the second is lost with the machine, and done again
    monkeypatch.setattr(
        "hrm.training.loop.validate", lambda *_, **__: dict.fromkeys(["eval/exact_accuracy"], next(scores))
    )
    stopped(mirrored, dataset, tmp_path / "lost", monkeypatch, before_step=24)
    shutil.rmtree(tmp_path / "lost")
    train(mirrored, dataset, tmp_path / "found", "tiny")
    assert final_step(tmp_path / "found").name == "step-00000010"


def test_a_mirror_that_cannot_be_read_stops_the_start(
    mirrored: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To begin anew would lose what is there; with checkpoints of its own the run goes on, with a warning."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(UserError, match="refuses"):
        train(mirrored, dataset, tmp_path / "run", "tiny")


def test_a_mirror_that_goes_away_does_not_stop_a_run(
    mirrored: TrainSettings,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stopped(mirrored, dataset, tmp_path / "run", monkeypatch, before_step=7)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with caplog.at_level("WARNING", logger="hrm"):
        train(mirrored, dataset, tmp_path / "run", "tiny")
    assert sum("training goes on" in record.message for record in caplog.records) == 1
    assert (tmp_path / "run/train.json").is_file()
