"""A pipeline that failed leaves a failed run where the others are."""

from pathlib import Path

import pytest

from hrm.errors import UserError
from hrm.tracking import PIPELINE_RUN, log_failure
from hrm.tracking.failure import LONGEST_TAG
from hrm.tracking.server import connect


def test_a_failure_is_found_beside_the_runs(embedded: Path) -> None:
    message = "could not reach http://ann:secret@host/x:\n" + "x" * 9000
    run_id = log_failure("arc-1", "0a1b", message)
    assert run_id
    client = connect()
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "arc-1"
    assert run.info.status == "FAILED"
    assert run.data.tags.items() >= {"experiment": "arc-1", PIPELINE_RUN: "0a1b"}.items()
    assert run.data.tags["error"].startswith("could not reach http://host/x: xxx")
    assert len(run.data.tags["error"]) == LONGEST_TAG
    assert "secret" not in str(run.data.tags)
    # A step that is tried again leaves no second one.
    assert log_failure("arc-1", "0a1b", message) == run_id
    assert log_failure("arc-1", "2c3d", message) != run_id


def test_an_absent_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(
        UserError, match=r"MLflow at http://127\.0\.0\.1:9 is needed to record the failure: no connection"
    ):
        log_failure("arc-1", "0a1b", "x")


def test_a_pipeline_that_registered_its_model_has_not_failed(embedded: Path) -> None:
    """Whatever its end is called: the registry decides."""
    client = connect()
    client.create_registered_model("arc-1")
    client.create_model_version("arc-1", str(embedded), tags={PIPELINE_RUN: "0a1b"})
    assert log_failure("arc-1", "0a1b", "ended as RUNNING") is None
    assert client.get_experiment_by_name("arc-1") is None
    assert log_failure("arc-1", "2c3d", "ended as FAILED")
