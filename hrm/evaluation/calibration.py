"""How far the model's own confidence can be trusted: the Q head's estimates against what came true.

Shapes: N answers, K bins of equal width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.evaluation.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes, axis, figure
from hrm.evaluation.markup import counted, details, per_cent, short_interval, table
from hrm.evaluation.score import wilson
from hrm.puzzles.base import Ints

BINS = 10
_SMALLEST, _LARGEST = 3, 10
"""Radius of a dot in pixels; the area grows with the count."""


@dataclass(frozen=True)
class Calibration:
    """Answers in bins of the confidence they were given with."""

    count: Ints
    """(K,) answers in each bin."""
    confidence: NDArray[np.float64]
    """(K,) their mean confidence; 0 in an empty bin."""
    right: NDArray[np.float64]
    """(K,) the share of them that is right; 0 in an empty bin."""

    @property
    def error(self) -> float:
        """The expected calibration error: how far confidence and share lie apart, averaged over the answers."""
        return float((self.count * np.abs(self.confidence - self.right)).sum() / self.count.sum())

    @property
    def filled(self) -> list[int]:
        """The bins that have answers."""
        return np.flatnonzero(self.count).tolist()


def calibration(q_halt_N: NDArray[np.float32], right_N: NDArray[np.bool_]) -> Calibration:
    """Sort answers into bins.

    Args:
        q_halt_N: logits of "this answer is right"; at least one.
        right_N: which are.
    """
    confidence_N = 0.5 + 0.5 * np.tanh(q_halt_N.astype(np.float64) / 2)
    bin_N = np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(bin_N, minlength=BINS)
    sums = (np.bincount(bin_N, weights=weights, minlength=BINS) for weights in (confidence_N, right_N))
    confidence, right = (total / np.maximum(count, 1) for total in sums)
    return Calibration(count, confidence, right)


def reliability(found: Calibration) -> str:
    """The reliability diagram, and the same figures as a table."""
    return f'<div class="charts">{_diagram(found)}</div>{details("Calibration as a table", _table(found))}'


def _diagram(found: Calibration) -> str:
    x, y = (axis(0, 1, start, end, most=5) for start, end in ((LEFT, WIDTH - RIGHT), (HEIGHT - BOTTOM, TOP)))
    marks = f'<line class="ideal" x1="{x.start}" y1="{y.start}" x2="{x.end}" y2="{y.end}"/>'
    for place in found.filled:
        count, share = int(found.count[place]), float(found.right[place])
        at, height = float(x.at(found.confidence[place])), float(y.at(found.right[place]))
        low, high = y.at(np.array(wilson(share, count)))
        radius = max(_SMALLEST, _LARGEST * (count / found.count.max()) ** 0.5)
        marks += (
            f'<line class="whisker" x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
            f'<circle class="dot s1" cx="{at:.1f}" cy="{height:.1f}" r="{radius:.1f}"/>'
        )
    spoken = (
        f"Share of right answers by the confidence of the model, {counted(int(found.count.sum()), 'answer')}: "
        f"they lie {per_cent(found.error)} apart on average"
    )
    legend = (
        "<li>share of right answers, with its 95 % interval; the larger a dot, the more answers</li>"
        '<li><svg viewBox="0 0 24 6" aria-hidden="true"><line class="ideal" x1="0" y1="3" x2="24" y2="3"/></svg>'
        "confidence that can be taken at its word</li>"
    )
    return figure("Calibration of the Q head", spoken, axes(x, y, "confidence") + marks, legend)


def _table(found: Calibration) -> str:
    rows = [
        [
            f"{100 * place // BINS}–{100 * (place + 1) // BINS}\N{NO-BREAK SPACE}%",
            f"{found.count[place]:,}",
            per_cent(found.confidence[place]),
            per_cent(found.right[place]),
            short_interval(wilson(float(found.right[place]), int(found.count[place]))),
        ]
        for place in found.filled
    ]
    caption = f"Confidence and share of right answers, {counted(int(found.count.sum()), 'answer')} in bins"
    return table(caption, ["Confidence", "Answers", "Mean", "Right", "95 % interval"], rows)
