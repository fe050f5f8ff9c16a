"""Live and later logging against real MLflow."""

import json
import logging
import re
import sys
import time
from pathlib import Path

import pytest
import small_run
from mlflow.entities import Run
from mlflow_server import free_port, kill, mlflow_server

from hrm import tracking
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.tracking import Status
from hrm.tracking.points import Point, Spool
from hrm.tracking.server import connect
from hrm.tracking.tracker import MlflowTracker


def logged(run: Path) -> Run:
    place = json.loads((run / "mlflow_run.json").read_text())
    return connect().get_run(place["run_id"])


def is_known(run: Path) -> bool:
    """Whether the server has told the id of its run."""
    place = run / "mlflow_run.json"
    return place.is_file() and json.loads(place.read_text())["run_id"] != ""


def curve(run: Path, metric: str) -> list[tuple[int, float]]:
    place = json.loads((run / "mlflow_run.json").read_text())
    history = connect().get_metric_history(place["run_id"], metric)
    return sorted((point.step, point.value) for point in history)


def follow(tracker: tracking.Tracker, first: int, last: int) -> None:
    for step in range(first, last + 1, 10):
        tracker.metrics(small_run.CURVES[step], step)


LOSSES = [(step, values["train/loss"]) for step, values in small_run.CURVES.items()]


def test_a_run_is_logged_with_all_that_it_is(embedded: Path, run: Path, sudoku: Dataset) -> None:
    tracker = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(tracker, 10, 50)
    tracker.close("FINISHED")

    mlflow_run = logged(run)
    assert mlflow_run.info.status == "FINISHED"
    assert curve(run, "train/loss") == LOSSES
    assert mlflow_run.data.params["model.hidden"] == "32"
    assert mlflow_run.data.params["optimizer.lr"] == "0.0001"
    assert mlflow_run.data.params["puzzle.box"] == "[2, 2]"
    assert mlflow_run.data.tags["dataset_digest"] == sudoku.digest
    assert mlflow_run.data.tags["puzzle"] == "sudoku"
    assert mlflow_run.inputs is not None
    (used,) = mlflow_run.inputs.dataset_inputs
    assert sudoku.digest.startswith(used.dataset.digest)
    assert json.loads(used.dataset.profile)["digest"] == sudoku.digest
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    files = {file.path for file in connect().list_artifacts(mlflow_run.info.run_id, "training")}
    assert files == {"training/train.json", "training/curves.csv", "training/train.provenance.json"}
    # All that MLflow writes stays in the two ignored places.
    assert {path.name for path in embedded.iterdir()} == {"mlflow.db", "mlruns"}


def test_experiments_are_ours_unless_the_environment_says_otherwise(
    embedded: Path, run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect()

    def experiment() -> str:
        tracking.start(run, "small", small_run.SETTINGS, sudoku).close("FINISHED")
        return client.get_experiment(logged(run).info.experiment_id).name

    assert experiment() == "small"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of-the-team")
    assert experiment() == "of-the-team"
    parent = client.create_run(client.create_experiment("pipeline")).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    assert experiment() == "pipeline"
    assert logged(run).data.tags["mlflow.parentRunId"] == parent
    # It stays what it was part of, also where the folder is logged from within another run.
    monkeypatch.setenv("MLFLOW_RUN_ID", client.create_run(client.create_experiment("another")).info.run_id)
    tracking.start(run, "small", small_run.SETTINGS, sudoku, resumed=True).close("FINISHED")
    assert logged(run).data.tags["mlflow.parentRunId"] == parent


@pytest.mark.parametrize("parent", ["0" * 32, "../no-id"])
def test_a_run_to_log_below_that_is_not_there_is_one_line(
    embedded: Path,
    run: Path,
    sudoku: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    parent: str,
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    said = (
        f"MLFLOW_RUN_ID = {parent}: MLflow at sqlite:///mlflow.db has no such run to log below; "
        "unset the variable, or name another"
    )
    tracker = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(tracker, 10, 50)
    tracker.close("FINISHED")
    first, last = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert first == f"hrm: warning: {said}; training goes on, and nothing is logged meanwhile"
    assert "log it later with: hrm track small" in last
    with pytest.raises(UserError, match=f"^{re.escape(said)}$"):
        tracking.log_finished(run, "small", sudoku.path)
    monkeypatch.delenv("MLFLOW_RUN_ID")
    tracking.log_finished(run, "small", sudoku.path)
    assert curve(run, "train/loss") == LOSSES


def test_a_resumed_training_goes_on_in_its_run(embedded: Path, run: Path, sudoku: Dataset) -> None:
    (run / "curves.csv").unlink()
    first = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(first, 10, 40)
    first.close("KILLED")
    before = logged(run)
    assert before.info.status == "KILLED"

    second = tracking.start(run, "small", small_run.SETTINGS, sudoku, resumed=True)
    follow(second, 30, 50)  # its checkpoint was of step 20
    second.close("FINISHED")
    after = logged(run)
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "FINISHED"
    assert curve(run, "train/loss") == LOSSES
    assert after.inputs is not None
    assert len(after.inputs.dataset_inputs) == 1


def test_a_resumed_training_sends_what_was_lost_with_the_stopped_one(
    embedded: Path, run: Path, sudoku: Dataset
) -> None:
    first = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(first, 10, 20)
    first.close("KILLED")
    # Meanwhile the curves hold every step; 30 and 40 were never sent, and 50 comes again.
    second = tracking.start(run, "small", small_run.SETTINGS, sudoku, resumed=True)
    follow(second, 50, 50)
    second.close("FINISHED")
    assert curve(run, "train/loss") == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in LOSSES]


def test_a_killed_process_takes_no_point_along(embedded: Path, run: Path, sudoku: Dataset) -> None:
    """Nor one that no curve holds; points keep their times, and one that was written in part does no harm."""
    spool = Spool(run)
    sent = [Point("speed/samples_per_second", step, step / 3, 1_700_000_000_000 + step) for step in (10, 20, 30)]
    spool.add(sent[:2])
    with (run / "mlflow_points.jsonl").open("a") as stream:
        stream.write('\n["speed/samples_per_second", 30, 9')
    spool.add(sent[2:])
    tracker = tracking.start(run, "small", small_run.SETTINGS, sudoku, resumed=True)
    follow(tracker, 30, 50)
    assert [point.metric for point in spool.read()].count("train/loss") == 3
    tracker.close("FINISHED")
    assert curve(run, "train/loss") == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in LOSSES]
    history = connect().get_metric_history(logged(run).info.run_id, "speed/samples_per_second")
    assert sorted((point.step, point.value, point.timestamp) for point in history) == [point[1:] for point in sent]
    assert not (run / "mlflow_points.jsonl").exists()


def test_a_run_that_was_killed_and_begun_anew_has_ended(embedded: Path, run: Path, sudoku: Dataset) -> None:
    killed = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(killed, 10, 20)
    small_run.wait_until(lambda: is_known(run) and logged(run).data.metrics != {})
    first = logged(run).info.run_id
    assert connect().get_run(first).info.status == "RUNNING"
    tracking.start(run, "small", small_run.SETTINGS, sudoku).close("FINISHED")
    assert connect().get_run(first).info.status == "KILLED"
    assert logged(run).info.status == "FINISHED"
    assert logged(run).data.metrics == {}


def test_a_process_killed_before_it_knew_its_run_finds_it(embedded: Path, run: Path, sudoku: Dataset) -> None:
    run_id = tracking.log_finished(run, "small", sudoku.path)
    place = json.loads((run / "mlflow_run.json").read_text())
    (run / "mlflow_run.json").write_text(json.dumps({**place, "run_id": ""}))
    assert tracking.log_finished(run, "small", sudoku.path) == run_id
    assert json.loads((run / "mlflow_run.json").read_text()) == place


@pytest.mark.parametrize("change", ["not resumed", "other settings"])
def test_another_training_is_another_run(embedded: Path, run: Path, sudoku: Dataset, change: str) -> None:
    tracking.start(run, "small", small_run.SETTINGS, sudoku).close("FINISHED")
    first = logged(run).info.run_id
    settings = small_run.SETTINGS
    if change == "other settings":
        settings = settings.model_copy(update={"seed": 7})
    tracking.start(run, "small", settings, sudoku, resumed=change == "other settings").close("FINISHED")
    assert logged(run).info.run_id != first


def test_a_finished_run_is_logged_later(embedded: Path, run: Path, sudoku: Dataset) -> None:
    run_id = tracking.log_finished(run, "small", sudoku.path)
    mlflow_run = logged(run)
    assert mlflow_run.info.run_id == run_id
    assert mlflow_run.info.status == "FINISHED"
    assert mlflow_run.data.params["model.hidden"] == "32"
    assert curve(run, "train/loss") == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in LOSSES]
    # Saying it again adds nothing.
    assert tracking.log_finished(run, "small", sudoku.path) == run_id
    assert len(curve(run, "train/loss")) == len(LOSSES)


def test_a_run_of_another_server_is_logged_to_this_one(embedded: Path, run: Path, sudoku: Dataset) -> None:
    stranger = {"tracking_uri": "http://elsewhere", "experiment": "small", "run_id": "0" * 32}
    (run / "mlflow_run.json").write_text(json.dumps(stranger))
    run_id = tracking.log_finished(run, "small", sudoku.path)
    assert json.loads((run / "mlflow_run.json").read_text()) == {
        "tracking_uri": "sqlite:///mlflow.db",
        "experiment": "small",
        "run_id": run_id,
        "key": connect().get_run(run_id).data.tags["hrm.key"],
    }
    # A run that this server has lost.
    (run / "mlflow_run.json").write_text(json.dumps({**stranger, "tracking_uri": "sqlite:///mlflow.db"}))
    assert tracking.log_finished(run, "small", sudoku.path) != "0" * 32


def test_what_is_no_finished_run_is_refused(embedded: Path, run: Path, sudoku: Dataset, tmp_path: Path) -> None:
    record = json.loads((run / "train.provenance.json").read_text())
    record["inputs"]["dataset"] = "another"
    (run / "train.provenance.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"trained on another dataset"):
        tracking.log_finished(run, "small", sudoku.path)
    (run / "train.json").unlink()
    with pytest.raises(UserError, match=r"train\.json: no such file; finish the training with `hrm train small`"):
        tracking.log_finished(run, "small", sudoku.path)


def test_a_server_that_dies_and_comes_back(
    tmp_path: Path, run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:secret@127.0.0.1:{port}")
    monkeypatch.setattr(MlflowTracker, "INTERVAL", 0.1)
    monkeypatch.setattr(MlflowTracker, "RETRY", 0.2)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    with mlflow_server(tmp_path, port) as server:
        recovered = tracking.start(run, "small", small_run.SETTINGS, sudoku)
        follow(recovered, 10, 20)
        small_run.wait_until(lambda: is_known(run) and len(curve(run, "train/loss")) == 2)
        kill(server)
        began = time.monotonic()
        follow(recovered, 30, 40)
        assert time.monotonic() - began < 0.1
        small_run.wait_until(lambda: "training goes on" in caplog.text)
    with mlflow_server(tmp_path, port) as server:
        follow(recovered, 50, 50)
        recovered.close("FINISHED")
        assert curve(run, "train/loss") == LOSSES
        assert logged(run).info.status == "FINISHED"
        assert "hrm track" not in caplog.text

        # This time it stays away; the run is completed from its own record once there is a server again.
        lost = tracking.start(run, "small", small_run.SETTINGS, sudoku)
        follow(lost, 10, 20)
        small_run.wait_until(lambda: is_known(run) and len(curve(run, "train/loss")) == 2)
        run_id = logged(run).info.run_id
    caplog.clear()
    follow(lost, 30, 50)
    began = time.monotonic()
    lost.close("FINISHED")
    assert time.monotonic() - began < 10
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert warnings[1].endswith(f"which is kept in {run}; log it later with: hrm track small")
    assert "secret" not in caplog.text
    assert "secret" not in (run / "mlflow_run.json").read_text()
    with mlflow_server(tmp_path, port):
        assert tracking.log_finished(run, "small", sudoku.path) == run_id
        assert curve(run, "train/loss") == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in LOSSES]


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_a_stopped_run_that_is_not_complete_says_who_sends_the_rest(
    run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: Status
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    tracker = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(tracker, 10, 10)
    tracker.close(status)
    assert caplog.messages[-1].endswith("; `hrm train small` sends it")
    assert len(Spool(run).read()) == 2


def test_a_server_that_was_never_there(
    run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    tracker = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(tracker, 10, 50)
    assert time.monotonic() - began < 2
    tracker.close("FINISHED")
    assert time.monotonic() - began < 15
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("training goes on" in text, "hrm track small" in text) for text in messages] == [
        (True, False),
        (False, True),
    ]
    assert not (run / "mlflow_run.json").exists()


@pytest.mark.parametrize("uri", ["foo://ann:secret@host/x", "postgresql://ann:secret@host/x"])
def test_an_address_that_cannot_be_used_stops_no_training(
    run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    """Of no kind that MLflow knows, or a database whose driver is not installed."""
    for driver in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, driver, None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = tracking.start(run, "small", small_run.SETTINGS, sudoku)
    follow(tracker, 10, 50)
    tracker.close("FINISHED")
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("training goes on" in text, "hrm track small" in text) for text in messages] == [
        (True, False),
        (False, True),
    ]
    assert "secret" not in caplog.text
