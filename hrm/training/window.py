"""Metrics between two logged points, and the watch over what is not finite."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hrm.training.distributed import Processes

OVER_HALTED = ("token_accuracy", "exact_accuracy", "q_halt_accuracy", "steps")
"""Metrics that are means over the rows that halted; the others are means over all rows."""


class NotFiniteError(Exception):
    """A loss or a gradient is no longer a number."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step
        """The first such step."""


class Window:
    """Metric sums of the steps since the last logged point.

    They stay on the device: only `close`, `check` and what uses them wait for it.
    """

    def __init__(self, processes: Processes, batch_size: int) -> None:
        """Begin an empty window.

        Args:
            processes: those that share a global batch.
            batch_size: examples of the global batch.
        """
        self._processes, self._batch_size = processes, batch_size
        self.steps = 0
        """Steps in it."""
        self._sums: dict[str, Tensor] = {}
        self._norms = torch.zeros((), device=processes.device)
        self._bad_step = torch.zeros((), dtype=torch.int64, device=processes.device)

    def add(self, step: int, sums: Mapping[str, Tensor], gradient_norm: Tensor) -> None:
        """Add a step.

        Args:
            step: its number.
            sums: over this process's rows: scalars, or one value for each number of segments.
            gradient_norm: of the global batch.
        """
        if not self._sums:
            self._sums = {name: torch.zeros_like(value) for name, value in sums.items()}
        torch._foreach_add_(list(self._sums.values()), [sums[name] for name in self._sums])
        self._norms += gradient_norm
        self.steps += 1
        bad = ~(gradient_norm + sums["loss"]).isfinite() & (self._bad_step == 0)
        self._bad_step = torch.where(bad, step, self._bad_step)

    def check(self) -> None:
        """Every process must call this.

        Raises:
            NotFiniteError: when a step since the last logged point was not finite.
        """
        # Only some processes may have a row that is not finite: the first bad step of any is the one.
        (negative,) = self._processes.highest([-(int(self._bad_step) or 2**62)])
        if negative > -(2**62):
            raise NotFiniteError(-negative)

    def close(self) -> dict[str, float]:
        """The means over the window, as `train/<metric>`, and a new window; every process must call this.

        Raises:
            NotFiniteError: as `check`.
        """
        self.check()
        totals = self.totals()
        histogram = totals.pop("halted_after").tolist()
        sums = {name: float(total) for name, total in totals.items()}
        norm, steps = sums.pop("gradient_norm"), self.steps
        self._sums, self.steps = {}, 0
        self._norms = torch.zeros_like(self._norms)

        halted, rows = sums.pop("count"), steps * self._batch_size
        means = {name: value / rows for name, value in sums.items() if name not in OVER_HALTED}
        if halted:
            means |= {name: sums[name] / halted for name in OVER_HALTED}
            means |= {f"halted_after/{segments:02d}": count / halted for segments, count in enumerate(histogram, 1)}
        return {f"train/{name}": value for name, value in {**means, "gradient_norm": norm / steps}.items()}

    def totals(self) -> dict[str, Tensor]:
        """What has been added so far, over all processes: what a checkpoint keeps; every process must call this."""
        if not self.steps:
            return {}
        flat = self._processes.sum(torch.cat([value.flatten() for value in self._sums.values()]))
        parts = flat.split([value.numel() for value in self._sums.values()])
        totals = {name: part.view_as(self._sums[name]) for name, part in zip(self._sums, parts, strict=True)}
        return {**totals, "gradient_norm": self._norms.clone()}

    def restore(self, totals: Mapping[str, Tensor], steps: int) -> None:
        """Go on from what a checkpoint kept; the sums over all processes become the first one's."""
        device, first = self._processes.device, self._processes.first
        moved = {name: value.to(device) for name, value in totals.items()}
        self._norms = moved.pop("gradient_norm", torch.zeros_like(self._norms))
        self._sums = {name: value if first else torch.zeros_like(value) for name, value in moved.items()}
        self._bad_step = torch.zeros_like(self._bad_step)
        self.steps = steps
