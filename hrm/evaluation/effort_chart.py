"""The report's chart of accuracy against compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.evaluation.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Series, axes, axis, drawn_lines, figure
from hrm.evaluation.effort import Effort
from hrm.evaluation.markup import counted, details, per_cent, short_interval, table
from hrm.evaluation.score import wilson

_MOST_TICKS = 10
SINGLE = "one answer, after each segment"


@dataclass(frozen=True)
class DoublingAxis(Axis):
    """A scale on which each doubling takes the same space."""

    def at(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of values above 0."""
        share = np.log2(values / self.low) / np.log2(self.high / self.low)
        pixels: NDArray[np.float64] = self.start + share * (self.end - self.start)
        return pixels


def effort_section(found: Sequence[Effort], single: Series | None) -> str:
    """Accuracy against compute by each voting rule, as a chart and a table; nothing when there is one vote each.

    Args:
        found: with all starts and checkpoints, by copies and rule.
        single: of the single answers after each segment, where they are known.
    """
    if max(effort.votes for effort in found) == 1:
        return ""
    lines: dict[str, Series] = {
        rule: Series(*np.array([(one.segments, one.exact_E.mean()) for one in found if one.rule == rule]).T)
        for rule in dict.fromkeys(effort.rule for effort in found)
    }
    note = (
        '<p class="note">The same weights solve more when they are asked more often. A line of votes doubles the '
        "symmetric copies of each puzzle from point to point; docs/search.md says what the rules are. An answer counts "
        "as right when it is the known one.</p>"
    )
    chart = effort_chart("Accuracy against compute", ({SINGLE: single} if single is not None else {}) | lines)
    return f'{note}<div class="charts">{chart}</div>{details("Accuracy against compute as a table", _table(found))}'


def effort_chart(title: str, lines: Mapping[str, Series]) -> str:
    """A line of shares over segments a puzzle for each name."""
    least = min(float(line.steps[0]) for line in lines.values())
    most = max(2 * least, *(float(line.steps[-1]) for line in lines.values()))
    ticks = [2.0**power for power in range(64) if least <= 2.0**power <= most]
    x = DoublingAxis(least, most, ticks[:: -(-len(ticks) // _MOST_TICKS)], LEFT, WIDTH - RIGHT)
    y = axis(0, 1, HEIGHT - BOTTOM, TOP, most=5)
    paths, legend = drawn_lines(x, y, lines)
    spoken = ", ".join(f"{name} ends at {per_cent(float(line.values[-1]))}" for name, line in lines.items())
    return figure(title, f"{title}: {spoken}", axes(x, y, "segments a puzzle") + paths, legend)


def _table(found: Sequence[Effort]) -> str:
    rows = []
    for effort in found:
        share, count = float(effort.exact_E.mean()), len(effort.exact_E)
        bounds = short_interval(wilson(share, count))
        votes = counted(effort.votes, "vote")
        rows.append([f"{votes}, {effort.rule}", f"{effort.segments:,.1f}", per_cent(share), bounds])
    caption = f"Accuracy against compute, {counted(len(found[0].exact_E), 'puzzle')}"
    return table(caption, ["Votes", "Segments a puzzle", "Right", "95 % interval"], rows)
