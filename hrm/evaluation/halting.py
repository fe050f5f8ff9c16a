"""The report's charts of halting: where the model would stop by itself, and how many puzzles are right by then."""

from __future__ import annotations

import numpy as np

from hrm.evaluation.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, axes, axis, figure
from hrm.evaluation.markup import counted, details, per_cent, short_interval, table
from hrm.evaluation.score import wilson
from hrm.evaluation.trace import Trace

_MOST_TICKS = 16
_LEGEND = "".join(
    f'<li><svg viewBox="0 0 12 12" class="box" aria-hidden="true"><rect class="bar {sort}" x="1" y="1" width="10" '
    f'height="10"/></svg>{words}</li>'
    for sort, words in (("right", "ends right"), ("wrong", "ends wrong"))
)


def halting(trace: Trace) -> str:
    """Both charts, and the same figures as a table."""
    return f'<div class="charts">{_stops(trace)}{_right(trace)}</div>{details("Halting as a table", _table(trace))}'


def _stops(trace: Trace) -> str:
    x, total_S = _segments(trace), trace.stops_right + trace.stops_wrong
    y = axis(0, float(total_S.max()), HEIGHT - BOTTOM, TOP, most=5)
    width = min(40.0, 0.7 * (x.end - x.start) / trace.segments)
    bars = ""
    for segment, (right, wrong) in enumerate(zip(trace.stops_right, trace.stops_wrong, strict=True), 1):
        left = float(x.at(np.array(segment))) - width / 2
        floor, middle, top = (float(y.at(np.array(value))) for value in (0, right, right + wrong))
        bars += _bar("right", left, width, middle, floor) + _bar("wrong", left, width, top, middle)
    mean = float((total_S * np.arange(1, trace.segments + 1)).sum() / trace.count)
    spoken = f"Puzzles by the segment after which the model would stop: on average after {mean:.1f} of {trace.segments}"
    return figure("Where the model would stop", spoken, axes(x, y, "segment") + bars, _LEGEND)


def _bar(sort: str, left: float, width: float, top: float, bottom: float) -> str:
    if bottom <= top:
        return ""
    return f'<rect class="bar {sort}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}"/>'


def _right(trace: Trace) -> str:
    x, y = _segments(trace), axis(0, 1, HEIGHT - BOTTOM, TOP, most=5)
    share_S = trace.right / trace.count
    at_S = x.at(np.arange(1, trace.segments + 1, dtype=np.float64))
    lows, highs = np.array([wilson(share, trace.count) for share in share_S.tolist()]).T
    whiskers = "".join(
        f'<line class="whisker" x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        for at, low, high in zip(at_S, y.at(lows), y.at(highs), strict=True)
    )
    points = list(zip(at_S, y.at(share_S), strict=True))
    line = " ".join(f"{at:.1f},{height:.1f}" for at, height in points)
    dots = "".join(f'<circle class="dot s1" cx="{at:.1f}" cy="{height:.1f}" r="3"/>' for at, height in points)
    spoken = (
        f"Share of puzzles that are right: {per_cent(share_S[0])} after segment 1, {per_cent(share_S[-1])} at the end"
    )
    drawn = f'{axes(x, y, "segment")}{whiskers}<polyline class="line s1" points="{line}"/>{dots}'
    return figure("Right after each segment", spoken, drawn, "<li>share of puzzles, with its 95 % interval</li>")


def _segments(trace: Trace) -> Axis:
    every = -(-trace.segments // _MOST_TICKS)
    return Axis(0.5, trace.segments + 0.5, range(every, trace.segments + 1, every), LEFT, WIDTH - RIGHT)


def _table(trace: Trace) -> str:
    rows = []
    for segment in range(trace.segments):
        right, wrong = int(trace.stops_right[segment]), int(trace.stops_wrong[segment])
        share = trace.right[segment] / trace.count
        bounds = short_interval(wilson(share, trace.count))
        rows.append([f"{segment + 1}", f"{right + wrong:,}", f"{right:,}", per_cent(share), bounds])
    caption = f"Halting of {counted(trace.count, 'puzzle')} by segment"
    return table(caption, ["Segment", "Would stop", "of these, end right", "Right by now", "95 % interval"], rows)
