"""One run in MLflow, written to by the live tracker and from a finished run's record alike."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.tracking.once import once
from hrm.tracking.points import Point
from hrm.tracking.record import KEY, PARENT, Facts, Place
from hrm.tracking.server import artifact_folder, connect, public_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 1000
"""Points that MLflow takes in one request."""
DIGEST_LENGTH = 32
"""Characters of a dataset's digest that MLflow has room for, rounded down from 36."""
RECORDS = ("train.json", "curves.csv", "train.provenance.json")
"""Files of a run's folder that become artifacts under `training`."""


class RunLog:
    """A run in MLflow. Everything may be said twice: nothing is logged twice."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self.client = client
        self.run_id: str = run.info.run_id
        self._last_steps = {metric: self._last_step(metric) for metric in run.data.metrics}
        self._status = run.info.status
        # A run that seems to go on although it has ended was left so by a registration that was killed.
        done = run.info.status in ("FINISHED", "RUNNING")
        self._ended: int | None = run.info.end_time if done else None

    @classmethod
    def open(cls, folder: Path, facts: Facts) -> RunLog:
        """The run of a folder: the one that `mlflow_run.json` names, else a new one, which the file then names.

        A run that this server does not know, or that has other parameters, is left alone.

        Args:
            folder: the run's folder.
            facts: logged as parameters, tags and dataset input.

        Raises:
            Exception: whatever MLflow raises when it cannot be reached or refuses.
        """
        client = connect()
        place = Place.read(folder)
        run = None if place is None else known_run(client, place)
        if run is None or any(run.data.params.get(key, value) != value for key, value in facts.parameters.items()):
            run = _new_run(client, folder, facts)
        elif place is not None and not place.run_id:
            replace(place, run_id=run.info.run_id).write(folder)
        log = cls(client, run)
        log._log_facts(run, facts)
        return log

    def log_points(self, points: Sequence[Point]) -> None:
        """Log points of curves, in the order of steps; those up to the last step that the run has are left out."""
        from mlflow.entities import Metric

        for start in range(0, len(points), BATCH):
            metrics, last_steps = [], dict(self._last_steps)
            for point in points[start : start + BATCH]:
                name = metric_name(point.metric)
                if point.step > last_steps.get(name, -1):
                    metrics.append(Metric(name, point.value, point.time, point.step))
                    last_steps[name] = point.step
            if metrics:
                self.client.log_batch(self.run_id, metrics=metrics)
            self._last_steps = last_steps

    def go_on(self) -> None:
        """Say that the run is going on, where it had ended."""
        if self._status != "RUNNING":
            self.client.update_run(self.run_id, status="RUNNING")
        self._ended = None

    def finish(self, folder: Path, status: str) -> None:
        """Add the local records of the training as artifacts, and end the run; one that was finished ended then."""
        for name in RECORDS:
            if (folder / name).is_file():
                self.client.log_artifact(self.run_id, str(folder / name), "training")
        self.client.set_terminated(self.run_id, status, self._ended)

    def _log_dataset(self, facts: Facts) -> None:
        """Name the dataset as the run's input for training, or for evaluation alone, with its content digest."""
        from mlflow import entities

        dataset = facts.dataset
        counts = {
            "groups": len(dataset.names),
            "variants": len(dataset.symmetries),
            "train_examples": len(dataset.train),
            "test_examples": len(dataset.test),
            "digest": dataset.digest,
        }
        entity = entities.Dataset(
            name=facts.name,
            digest=short_digest(dataset),
            source_type="local",
            source=json.dumps({"uri": dataset.path.as_posix()}),
            profile=json.dumps({**counts, **dataset.notes}),
        )
        tags = [entities.InputTag("mlflow.data.context", "evaluation" if facts.imported else "training")]
        self.client.log_inputs(self.run_id, datasets=[entities.DatasetInput(entity, tags)])

    def _log_facts(self, run: Run, facts: Facts) -> None:
        from mlflow.entities import Param, RunTag

        missing = {key: value for key, value in facts.parameters.items() if key not in run.data.params}
        # A run stays part of what it was made in, also where another one registers its model.
        given = {key: value for key, value in facts.tags.items() if key != PARENT or key not in run.data.tags}
        tags = {key: value for key, value in given.items() if run.data.tags.get(key) != value}
        if missing or tags:
            self.client.log_batch(
                self.run_id,
                params=[Param(key, value) for key, value in missing.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )
        if run.inputs is None or not run.inputs.dataset_inputs:
            self._log_dataset(facts)

    def _last_step(self, metric: str) -> int:
        return max(point.step for point in self.client.get_metric_history(self.run_id, metric))


def short_digest(dataset: Dataset) -> str:
    """As much of a dataset's digest as MLflow takes for an input: 36 characters at most; the profile holds all 64."""
    return dataset.digest[:DIGEST_LENGTH]


def metric_name(name: str) -> str:
    """A metric's name in the characters that MLflow allows: `pass@2` becomes `pass_at_2`."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))


def known_run(client: MlflowClient, place: Place) -> Run | None:
    """The run of a place, if the server has it and nobody has deleted it."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(place.run_id) if place.run_id else _run_with(client, place)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run is not None and run.info.lifecycle_stage == "active" else None


def end_run(place: Place) -> None:
    """Say of a run that nobody will go on with that it was killed, unless it has ended."""
    client = connect()
    run = known_run(client, place)
    if run is not None and run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, "KILLED")


def _new_run(client: MlflowClient, folder: Path, facts: Facts) -> Run:
    where = experiment_id(client, facts.name)
    place = Place(public_uri(), client.get_experiment(where).name, "", secrets.token_hex(8))
    # First the key: whatever happens to the answer, or to this process, the run is found again.
    place.write(folder)
    name = f"{facts.name} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    run = once(
        lambda: _run_with(client, place),
        lambda: client.create_run(where, tags={**facts.tags, KEY: place.key}, run_name=name),
    )
    replace(place, run_id=run.info.run_id).write(folder)
    return run


def _run_with(client: MlflowClient, place: Place) -> Run | None:
    """The run that has a place's key."""
    experiment = client.get_experiment_by_name(place.experiment)
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], f"tags.`{KEY}` = '{place.key}'", max_results=1)
    return runs[0] if runs else None


def experiment_id(client: MlflowClient, name: str) -> str:
    """The MLflow experiment for a new run.

    A pipeline's run (`MLFLOW_RUN_ID`) has its children beside it. Else `MLFLOW_EXPERIMENT_ID` decides, or
    `MLFLOW_EXPERIMENT_NAME`; else each experiment of ours is one of MLflow's, so that runs listed together can be
    compared.

    Raises:
        UserError: when the server does not know the pipeline's run.
    """
    from mlflow.exceptions import MlflowException

    if parent := os.environ.get("MLFLOW_RUN_ID"):
        try:
            return str(client.get_run(parent).info.experiment_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise UserError(
                f"MLFLOW_RUN_ID = {parent}: MLflow at {public_uri()} has no such run to log below; unset the variable, "
                "or name another"
            ) from None
    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return given
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    if experiment := client.get_experiment_by_name(name):
        return str(experiment.experiment_id)
    try:
        # Without this tag the web page asks each visitor what kind of experiment it is.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return client.create_experiment(name, artifact_location=artifact_folder(), tags=tags)
    except MlflowException:
        if experiment := client.get_experiment_by_name(name):  # another process was faster
            return str(experiment.experiment_id)
        raise
