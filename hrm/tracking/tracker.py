"""The trackers of a training run that is going on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from hrm.artifacts import remove
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.progress import warn
from hrm.tracking.points import Point, Spool, points_of
from hrm.tracking.record import PLACE, WANDB_PLACE, Facts, Place
from hrm.tracking.run_log import BATCH, RunLog, end_run
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
            folder's points is sent first; points up to the last step that it has are left out.

    Raises:
        UserError: when W&B is wanted and cannot start.
    """
    facts = Facts.of(name, settings, dataset)
    if not resumed:
        remove(run / WANDB_PLACE)  # else the scores of this training would go to the run of the one before
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

    Until the run is complete there, every point is on the disk as well: what an absent server or a killed process left
    out is sent later, by this run, by the one that resumes it, or by `log_finished`. MLflow takes a point that it
    already has as the same one, so a batch whose answer was lost may be sent again.
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
        self._spool = Spool(run)
        self._before: Place | None = None  # what the folder was logged to, where training begins anew
        if not resume:
            with suppress(UserError):
                self._before = Place.read(run)
            remove(run / PLACE)
            self._spool.clear()
        # Also what the run could not send before it was stopped.
        self._pending = deque(points_of(run) if resume else [])
        self._log: RunLog | None = None
        self._failing = False
        self._unwritten = False
        self._complete = False
        self._closed = threading.Event()
        self._status: Status = "FINISHED"
        import_mlflow()  # here, as two threads that import at once can block each other
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each of some curves."""
        now = int(time.time() * 1000)
        points = [Point(metric, step, float(value), now) for metric, value in values.items()]
        self._pending.extend(points)
        try:
            self._spool.add(points)
        except OSError as error:
            if not self._unwritten:
                warn(f"{self._run}: {error.strerror or error}; should this process be killed, MLflow may lack points")
            self._unwritten = True

    def close(self, status: Status) -> None:
        """Send what is left and end the run; when that fails, say how to log it later."""
        self._status = status
        self._closed.set()
        self._thread.join(self.PATIENCE if status == "FINISHED" else self.PATIENCE / 12)
        if not self._complete:
            name = self._facts.name
            later = f"log it later with: hrm track {name}" if status == "FINISHED" else f"`hrm train {name}` sends it"
            warn(f"MLflow at {public_uri()} lacks part of this run, which is kept in {self._run}; {later}")

    def _work(self) -> None:
        closing, pause = False, 0.0
        while not closing:
            closing = self._closed.wait(pause)
            try:
                with impatient():
                    log = self._send()
                    if closing:
                        log.finish(self._run, self._status)
                        self._spool.clear()
                        self._complete = True
                self._failing, pause = False, self.INTERVAL
            except Exception as error:  # whatever happens to the log, the training goes on
                self._warn(error)
                self._failing, pause = True, self.RETRY

    def _send(self) -> RunLog:
        if self._log is None:
            log = RunLog.open(self._run, self._facts)
            log.go_on()
            self._log = log
        if self._before is not None:
            before, self._before = self._before, None
            end_run(before)
        while batch := list(islice(self._pending, BATCH)):
            self._log.log_points(batch)
            for _ in batch:
                self._pending.popleft()
        return self._log

    def _warn(self, error: Exception) -> None:
        if self._failing:
            return
        if isinstance(error, UserError):
            warn(f"{error}; training goes on, and nothing is logged meanwhile")
        else:
            warn(f"MLflow at {public_uri()} does not answer ({reason(error)}); training goes on")
