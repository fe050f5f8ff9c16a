"""Choosing among many ways of asking the same weights: the cheapest that solves a share of the puzzles.

Choosing on the puzzles that are reported on would flatter the choice, so that half of the tasks choose and the other
half report.

Shapes: E test puzzles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hrm.evaluation.effort import Effort
from hrm.evaluation.score import wilson
from hrm.puzzles.base import Ints


@dataclass(frozen=True)
class Trial:
    """One way of asking, and what came of it."""

    steps: Literal["max", "halt"]
    max_steps: int
    effort: Effort
    noise: float
    """On the starts besides the model's own."""

    def solved(self, some_E: NDArray[np.bool_]) -> float:
        """The share of some puzzles that it solves."""
        return float(self.effort.solved_E[some_E].mean())

    def overrides(self) -> str:
        """The options that make `hrm evaluate` and `hrm vote` do it."""
        effort = self.effort
        asked = [f"steps={self.steps}", f"max_steps={self.max_steps}", f"copies={effort.copies}"]
        asked += [f"starts={effort.starts}", *[f"noise={self.noise}"] * (effort.starts > 1)]
        asked += [f"checkpoints={effort.checkpoints}"]
        options = [*(f"evaluate.{one}" for one in asked), f"vote.rule={effort.rule}"]
        return " ".join(f"-o {option}" for option in options)

    def record(self, choosing_E: NDArray[np.bool_]) -> dict[str, Any]:
        """Its settings and figures, for `search.json`."""
        effort, share = self.effort, self.solved(~choosing_E)
        low, high = wilson(share, int((~choosing_E).sum()))
        return {
            "steps": self.steps,
            "max_steps": self.max_steps,
            "copies": effort.copies,
            "starts": effort.starts,
            "noise": self.noise,
            "checkpoints": effort.checkpoints,
            "rule": effort.rule,
            "segments": effort.segments,
            "solved_choosing": self.solved(choosing_E),
            "solved": share,
            "solved_low": low,
            "solved_high": high,
            "exact": float(effort.exact_E[~choosing_E].mean()),
        }


def choosing_half(groups_E: Ints) -> NDArray[np.bool_]:
    """(E,) which puzzles choose: those of every second task, so that no task is on both sides."""
    _, task_E = np.unique(groups_E, return_inverse=True)
    half: NDArray[np.bool_] = task_E % 2 == 0
    return half


def frontier(trials: Sequence[Trial], choosing_E: NDArray[np.bool_]) -> list[Trial]:
    """The trials that solve more of the choosing half than any that costs as much or less, by cost."""
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.effort.segments, -trial.solved(choosing_E))):
        if not best or trial.solved(choosing_E) > best[-1].solved(choosing_E):
            best.append(trial)
    return best


def cheapest(trials: Sequence[Trial], choosing_E: NDArray[np.bool_], target: float) -> Trial | None:
    """The cheapest trial that reaches a share on the choosing half, if any does."""
    return next((trial for trial in frontier(trials, choosing_E) if trial.solved(choosing_E) >= target), None)
