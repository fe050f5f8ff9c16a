"""What a training run leaves for people: curves, a summary, its provenance, and what is logged to MLflow and W&B."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from torch import Tensor, stack

from hrm import provenance, tracking
from hrm.artifacts import write_json
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.tracking.curves import Curves
from hrm.training.distributed import Processes
from hrm.training.state import TrainState
from hrm.training.workspace import Workspace

OVER_HALTED = ("token_accuracy", "exact_accuracy", "q_halt_accuracy", "steps")
"""Metrics that are means over the rows that halted; the others are means over all rows."""


class Window:
    """Metric sums of the steps since the last logged point; they stay on the device until it is closed."""

    def __init__(self, processes: Processes, batch_size: int) -> None:
        """Begin an empty window.

        Args:
            processes: those that share a global batch.
            batch_size: examples of the global batch.
        """
        self._processes, self._batch_size = processes, batch_size
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Add the sums of one step."""
        self._sums = {name: self._sums.get(name, 0) + value for name, value in metrics.items()}
        self._steps += 1

    def close(self) -> dict[str, float]:
        """The means over the window, as `train/<metric>`, and a new window; waits for the device.

        Every process must call this.
        """
        values = self._processes.sum(stack(list(self._sums.values()))).tolist()
        sums = dict(zip(self._sums, values, strict=True))
        halted, rows = sums.pop("count"), self._steps * self._batch_size
        self._sums, self._steps = {}, 0
        means = {name: value / rows for name, value in sums.items() if name not in OVER_HALTED}
        if halted:
            means |= {name: sums[name] / halted for name in OVER_HALTED}
        return {f"train/{name}": value for name, value in means.items()}


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
        self._kept = processes.first
        if not self._kept:
            return
        self._settings, self._dataset, self._place, self._processes = settings, dataset, place, processes
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

    def write(self) -> None:
        """Write the curves so far."""
        if self._kept:
            self._curves.write(self._place.training / "curves.csv")

    def finish(self, state: TrainState) -> None:
        """Write `curves.csv`, `train.provenance.json` and `train.json`: size, last values, speed of this part."""
        if not self._kept:
            return
        run, seconds = self._place.run, time.monotonic() - self._started
        examples = (state.step - self._first_step) * self._settings.batch_size
        summary: dict[str, Any] = {
            "steps": state.step,
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
