"""Requests that the server has executed, though their answers never arrived."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import small_run
from lossy_proxy import lossy_proxy
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from hrm import tracking
from hrm.data.dataset import Dataset
from hrm.tracking import tracker as live
from hrm.tracking.once import once
from hrm.tracking.server import connect

LOSSES = [(step, values["train/loss"]) for step, values in small_run.CURVES.items()]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.MlflowTracker, "INTERVAL", 0.05)
    monkeypatch.setattr(live.MlflowTracker, "RETRY", 0.05)
    monkeypatch.setattr("hrm.tracking.once.PAUSE", 0.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)


def writes(request: str, before: int) -> bool:
    """The first answer to each kind of request that changes something."""
    return request.startswith("POST") and "search" not in request and before == 0


def writes_for_long(request: str, before: int) -> bool:
    """More answers than MLflow's own repetitions wait for."""
    return request.startswith("POST") and "search" not in request and before < 3


@pytest.mark.parametrize("loses", [writes, writes_for_long])
def test_nothing_is_there_twice(
    shared_mlflow: int,
    run: Path,
    sudoku: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    loses: Callable[[str, int], bool],
) -> None:
    name = f"lossy {loses.__name__}"
    with lossy_proxy(shared_mlflow, loses) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        tracker = tracking.start(run, name, small_run.SETTINGS, sudoku)
        for step, values in small_run.CURVES.items():
            tracker.metrics({**values, "odd": math.nan, "endless": math.inf}, step)
            small_run.wait_until(lambda: not tracker._trackers[0]._pending)  # a request for each
        tracker.close("FINISHED")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{shared_mlflow}")
    client = connect()
    (logged,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    assert logged.info.run_id == json.loads((run / "mlflow_run.json").read_text())["run_id"]
    if (run / "mlflow_points.jsonl").exists():  # the answer to the last request of all was lost
        tracking.log_finished(run, name, sudoku.path)
    history = client.get_metric_history(logged.info.run_id, "train/loss")
    assert sorted((point.step, point.value) for point in history) == LOSSES
    for metric in ("odd", "endless"):
        steps = [point.step for point in client.get_metric_history(logged.info.run_id, metric)]
        assert sorted(steps) == list(small_run.CURVES)
    assert len(client.get_run(logged.info.run_id).inputs.dataset_inputs) == 1


def test_what_is_refused_is_not_asked_again() -> None:
    asked = []

    def refused() -> str:
        asked.append(1)
        raise MlflowException("no", error_code=PERMISSION_DENIED)

    with pytest.raises(MlflowException, match="no"):
        once(lambda: None, refused)
    assert len(asked) == 1
