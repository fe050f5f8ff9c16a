"""A pipeline that failed, as a failed run where people look for the good ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hrm.errors import without_credentials
from hrm.progress import note
from hrm.tracking.once import once
from hrm.tracking.run_log import experiment_id
from hrm.tracking.server import connect, impatient, public_uri, required

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PIPELINE_RUN = "pipeline_run"
"""The tag of what a pipeline leaves in MLflow: the id of the pipeline's run."""
LONGEST_TAG = 5000
"""Characters of a tag's value that every MLflow server accepts."""


def log_failure(experiment: str, pipeline_run: str, message: str) -> str | None:
    """Leave a failed run in MLflow, unless a model of this run of the pipeline is in the registry.

    The registry decides, as it is what a pipeline is for. Kubeflow's own word for how a run ended differs between its
    versions, and is RUNNING after a loop, or when a pod was killed.

    Args:
        experiment: of ours.
        pipeline_run: the id of the pipeline's run.
        message: what is known of why it failed.

    Returns:
        The run's id; None where there is no failure.

    Raises:
        UserError: when MLflow cannot be reached.
    """
    text = " ".join(without_credentials(message).split())[:LONGEST_TAG]
    tags = {"experiment": experiment, PIPELINE_RUN: pipeline_run, "error": text, "mlflow.note.content": text}
    with required("record the failure"), impatient():
        client = connect()
        if _registered(client, pipeline_run):
            return None
        name = f"{experiment} failed {time.strftime('%Y-%m-%d %H:%M:%S')}"
        where = experiment_id(client, experiment)
        run = once(
            lambda: _failed(client, where, pipeline_run),
            lambda: client.create_run(where, run_name=name, tags=tags),
        )
        client.set_terminated(run.info.run_id, "FAILED")
    note(f"MLflow at {public_uri()}: the failure is on record as run {run.info.run_id}")
    return str(run.info.run_id)


def _failed(client: MlflowClient, experiment: str, pipeline_run: str) -> Run | None:
    """The failed run that a pipeline has left already: a step may be tried again."""
    runs = client.search_runs([experiment], f"tags.{PIPELINE_RUN} = '{pipeline_run}'", max_results=1)
    return runs[0] if runs else None


def _registered(client: MlflowClient, pipeline_run: str) -> bool:
    """Whether a run of a pipeline has come to its end: a version of a model."""
    return bool(client.search_model_versions(f"tags.{PIPELINE_RUN} = '{pipeline_run}'", max_results=1))
