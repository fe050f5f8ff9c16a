"""A pipeline that failed leaves a failed run where the others are."""

from pathlib import Path

import pytest

from hrm.errors import UserError
from hrm.tracking import log_failure
from hrm.tracking.failure import LONGEST_TAG
from hrm.tracking.server import connect


def test_a_failure_is_found_beside_the_runs(embedded: Path) -> None:
    message = "could not reach http://ann:secret@host/x:\n" + "x" * 9000
    run_id = log_failure("arc-1", pipeline="jobs/1", step="train", message=message)
    client = connect()
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "arc-1"
    assert run.info.status == "FAILED"
    assert run.data.tags.items() >= {"experiment": "arc-1", "pipeline": "jobs/1", "pipeline_step": "train"}.items()
    assert run.data.tags["error"].startswith("could not reach http://host/x: xxx")
    assert len(run.data.tags["error"]) == LONGEST_TAG
    assert "secret" not in str(run.data.tags)


def test_an_absent_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(
        UserError, match=r"MLflow at http://127\.0\.0\.1:9 is needed to record the failure: no connection"
    ):
        log_failure("arc-1", pipeline="jobs/1", step="train", message="x")
