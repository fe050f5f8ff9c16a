"""A pipeline that failed, as a failed run where people look for the good ones."""

from __future__ import annotations

import time

from hrm.progress import note
from hrm.tracking.run_log import experiment_id
from hrm.tracking.server import connect, impatient, public_uri, required, without_credentials

LONGEST_TAG = 5000
"""Characters of a tag's value that every MLflow server accepts."""


def log_failure(experiment: str, *, pipeline: str, step: str, message: str) -> str:
    """Leave a failed run in MLflow.

    Args:
        experiment: of ours.
        pipeline: what the failed run of the pipeline is called.
        step: that was observed to fail.
        message: what it said.

    Returns:
        The run's id.

    Raises:
        UserError: when MLflow cannot be reached.
    """
    text = " ".join(without_credentials(message).split())[:LONGEST_TAG]
    tags = {"experiment": experiment, "pipeline": pipeline, "pipeline_step": step, "error": text}
    tags["mlflow.note.content"] = text
    with required("record the failure"), impatient():
        client = connect()
        name = f"{experiment} failed {time.strftime('%Y-%m-%d %H:%M:%S')}"
        run = client.create_run(experiment_id(client, experiment), run_name=name, tags=tags)
        client.set_terminated(run.info.run_id, "FAILED")
    note(f"MLflow at {public_uri()}: the failure of {pipeline} is on record as run {run.info.run_id}")
    return str(run.info.run_id)
