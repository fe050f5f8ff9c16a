"""The trackers of a training run that is going on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from hrm.artifacts import remove
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.progress import warn
from hrm.tracking.record import PLACE, Facts
from hrm.tracking.run_log import BATCH, Point, RunLog, read_points
from hrm.tracking.server import impatient, import_mlflow, public_uri, reason
from hrm.tracking.weights_and_biases import WandbTracker

Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How a run ended: as planned, by an error, or by a signal after which it can go on."""


class Tracker(Protocol):
    """Follows a run."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each of some curves, in the order of steps. Does not wait, does not raise."""

    def close(self, status: Status) -> None:
        """End the run, after its files are written."""


def start(run: Path, name: str, settings: TrainSettings, dataset: Dataset, *, resumed: bool = False) -> Tracker:
    """The trackers of a training run: MLflow, and W&B where `settings.wandb_project` names a project.

    For one process of a run only, the one that writes its files.

    Args:
        run: the run's folder; `mlflow_run.json` in it will name the run in MLflow.
        name: of the experiment.
        settings: of the training, logged as parameters.
        dataset: trained on, logged as input.
        resumed: go on in the run that the folder was logged to before, rather than in a new one. What it lacks of the
            folder's `curves.csv` is sent first; points up to the last step that it has are left out.

    Raises:
        UserError: when W&B is wanted and cannot start.
    """
    facts = Facts.of(name, settings, dataset)
    trackers: list[Tracker] = []
    if settings.wandb_project is not None:
        trackers.append(WandbTracker(settings.wandb_project, run, facts, resume=resumed))
    trackers.append(MlflowTracker(run, facts, resume=resumed))
    return _Together(trackers)


class _Together:
    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for tracker in self._trackers:
            tracker.metrics(values, step)

    def close(self, status: Status) -> None:
        for tracker in self._trackers:
            tracker.close(status)


class MlflowTracker:
    """Logs to MLflow from a thread of its own, so that the training never waits for it.

    While the server cannot be reached, points are kept and sent again later; MLflow takes a point that it already has
    as the same one.
    """

    INTERVAL = 2.0
    """Seconds between two batches."""
    RETRY = 30.0
    """Seconds until an absent server is tried again."""
    PATIENCE = 60.0
    """Seconds that `close` waits for the last points; less than a tenth where the end was not planned."""

    def __init__(self, run: Path, facts: Facts, *, resume: bool) -> None:
        self._run = run
        self._facts = facts
        # What a run before it was stopped could not send is in its curves.
        self._pending = deque(read_points(run / "curves.csv") if resume else [])
        self._log: RunLog | None = None
        self._failing = False
        self._complete = False
        self._closed = threading.Event()
        self._status: Status = "FINISHED"
        if not resume:
            remove(run / PLACE)
        import_mlflow()  # here, as two threads that import at once can block each other
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each of some curves."""
        now = int(time.time() * 1000)
        self._pending.extend(Point(metric, step, float(value), now) for metric, value in values.items())

    def close(self, status: Status) -> None:
        """Send what is left and end the run; when that fails, say how to log it later."""
        self._status = status
        self._closed.set()
        self._thread.join(self.PATIENCE if status == "FINISHED" else self.PATIENCE / 12)
        if not self._complete:
            warn(
                f"MLflow at {public_uri()} lacks part of this run, which is kept in {self._run}; "
                f"log it later with: hrm track {self._facts.name}"
            )

    def _work(self) -> None:
        closing, pause = False, 0.0
        while not closing:
            closing = self._closed.wait(pause)
            try:
                with impatient():
                    log = self._send()
                    if closing:
                        log.finish(self._run, self._status)
                        self._complete = True
                self._failing, pause = False, self.INTERVAL
            except Exception as error:  # whatever happens to the log, the training goes on
                self._warn(error)
                self._failing, pause = True, self.RETRY

    def _send(self) -> RunLog:
        if self._log is None:
            self._log = RunLog.open(self._run, self._facts)
        while batch := list(islice(self._pending, BATCH)):
            self._log.log_points(batch)
            for _ in batch:
                self._pending.popleft()
        return self._log

    def _warn(self, error: Exception) -> None:
        if not self._failing:
            warn(f"MLflow at {public_uri()} does not answer ({reason(error)}); training goes on")
