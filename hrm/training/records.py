"""What a training run leaves for people: curves, a summary, its provenance, and what is logged to MLflow and W&B."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from hrm import provenance, tracking
from hrm.artifacts import write_json
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.tracking.curves import Curves
from hrm.training.distributed import Processes
from hrm.training.speed import Speed
from hrm.training.state import TrainState
from hrm.training.workspace import Workspace


class Records:
    """The records of a run, kept by its first process; in the others every method does nothing.

    A context: the trackers are told how the run ended, whatever ends it.
    """

    def __init__(
        self, settings: TrainSettings, dataset: Dataset, place: Workspace, name: str, *, step: int, processes: Processes
    ) -> None:
        """Begin, or go on with, the records.

        Args:
            settings: of the training.
            dataset: it trains on.
            place: the run's folder.
            name: of the experiment.
            step: the run goes on from there.
            processes: of the run; the first one keeps the records.
        """
        self._kept, self._settings = processes.first, settings
        if not self._kept:
            return
        self._dataset, self._place, self._processes = dataset, place, processes
        self._speed = Speed(settings, dataset, processes, step)
        self._first_step, self._started = step, time.monotonic()
        self._curves = Curves(place.training / "curves.csv", up_to=step)
        self._curves.write(place.run / "curves.csv")
        self._tracker = tracking.start(place.run, name, settings, dataset, resumed=step > 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            ended: tracking.Status = "FINISHED" if kind is None else "FAILED"
            self._tracker.close("KILLED" if kind in (KeyboardInterrupt, SystemExit) else ended)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add a point to curves and trackers."""
        if self._kept:
            self._curves.add(step, values)
            self._tracker.metrics(values, step)

    def add_speed(self, step: int) -> None:
        """Tell the trackers how fast the steps since the last call were.

        The curves leave it out: they are the same whenever and wherever a run is repeated.
        """
        if self._kept:
            self._tracker.metrics(self._speed.since_last(step), step)

    def time_from(self, step: int) -> None:
        """Leave what was done besides training out of the speed."""
        if self._kept:
            self._speed.restart(step)

    def forget_after(self, step: int) -> None:
        """The run goes back to a step."""
        if self._kept:
            self._curves = Curves(self._place.training / "curves.csv", up_to=step)
            self.time_from(step)

    def is_validated(self, step: int) -> bool:
        """Whether the validation of a step is done."""
        return self._kept and self._settings.metric in self._curves.rows.get(step, {})

    @property
    def best_step(self) -> int | None:
        """Of the best validation so far, the first of equals; None before any."""
        scores = self._scores() if self._kept else {}
        return max(scores, key=lambda step: (scores[step], -step), default=None)

    @property
    def is_exhausted(self) -> bool:
        """Whether as many validations as `patience` says have passed without a better one."""
        patience, best = self._settings.patience, self.best_step
        return patience is not None and best is not None and sum(step > best for step in self._scores()) >= patience

    def _scores(self) -> dict[int, float]:
        metric = self._settings.metric
        return {step: row[metric] for step, row in self._curves.rows.items() if metric in row}

    def curves(self) -> str:
        """The curves so far, as the text of a CSV file; in the first process."""
        return self._curves.text()

    def finish(self, state: TrainState) -> None:
        """Write `curves.csv`, `train.provenance.json` and `train.json`: size, last values, speed of this part."""
        if not self._kept:
            return
        run, seconds = self._place.run, time.monotonic() - self._started
        examples = (state.step - self._first_step) * self._settings.batch_size
        summary: dict[str, Any] = {
            "steps": state.step,
            "best_step": self.best_step,
            "skipped_batches": len(state.skipped),
            "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
            **{name: round(value, 6) for name, value in self._curves.last().items()},
        }
        if examples:
            summary["samples_per_second"] = round(examples / seconds, 1)
        origin = provenance.record("train", inputs={"dataset": self._dataset.path}, settings=self._settings)
        origin["code"]["digests"] = state.code_digests
        origin["hardware"] = {"processes": self._processes.count, "device": self._processes.device_name}
        self._curves.write(run / "curves.csv")
        write_json(run / "train.provenance.json", origin)
        write_json(run / "train.json", summary)
