"""Charts as SVG text: axes, ticks, a legend; lines over steps. Colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 480, 256
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 12, 42
MOST_POINTS = 240


@dataclass(frozen=True)
class Series:
    """One line of a chart: finite values at ascending steps."""

    steps: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to pixels, with round ticks."""

    low: float
    high: float
    ticks: Sequence[float]
    start: float
    end: float

    def at(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of values."""
        pixels: NDArray[np.float64] = self.start + (values - self.low) / (self.high - self.low) * (
            self.end - self.start
        )
        return pixels


def line_chart(title: str, lines: Mapping[str, Series]) -> str:
    """A figure with one line a series; lines differ by colour and by dashes.

    Args:
        title: what is drawn, such as `exact accuracy`.
        lines: at least one series by name, none empty.
    """
    lows, highs = zip(*[(s.values.min(), s.values.max()) for s in lines.values()], strict=True)
    x = axis(0, max(float(s.steps[-1]) for s in lines.values()), LEFT, WIDTH - RIGHT, most=5, rounded=False)
    y = axis(min([0.0, *lows]), max(highs), HEIGHT - BOTTOM, TOP, most=5)
    summary = ", ".join(f"{name} ends at {short(float(s.values[-1]))}" for name, s in lines.items())
    paths, legend = drawn_lines(x, y, lines)
    return figure(title, f"{title} by training step: {summary}", axes(x, y, "step") + paths, legend)


def drawn_lines(x: Axis, y: Axis, lines: Mapping[str, Series]) -> tuple[str, str]:
    """The series as SVG lines, and the items of their legend."""
    paths = "".join(_path(x, y, thinned(s), number) for number, s in enumerate(lines.values(), 1))
    legend = "".join(_legend(name, s, number) for number, (name, s) in enumerate(lines.items(), 1))
    return paths, legend


def figure(title: str, spoken: str, drawn: str, legend: str = "") -> str:
    """A chart with its title.

    Args:
        title: above it.
        spoken: what it shows, for those who do not see it.
        drawn: SVG elements.
        legend: HTML list items.
    """
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken)}">{drawn}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def axis(low: float, high: float, start: float, end: float, *, most: int, rounded: bool = True) -> Axis:
    """A scale over low..high with at most about `most` ticks at 1, 2 or 5 times a power of ten.

    A `rounded` scale ends at a tick, so that no line touches the upper edge by accident.
    """
    if high <= low:
        high = low + 1
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9) if rounded else math.floor(high / step + 1e-9)
    ticks = [round(number * step, 12) for number in range(first, last + 1)]
    return Axis(ticks[0], ticks[-1] if rounded else high, ticks, start, end)


def thinned(series: Series) -> Series:
    """At most `MOST_POINTS` points, each the mean of its neighbourhood; the last step is kept."""
    count = len(series.steps)
    if count <= MOST_POINTS:
        return series
    starts = np.linspace(0, count, MOST_POINTS, endpoint=False).astype(int)
    sizes = np.diff(np.append(starts, count))
    return Series(
        series.steps[np.append(starts[1:], count) - 1],
        np.add.reduceat(series.values, starts) / sizes,
    )


def short(value: float) -> str:
    """A number in few characters: 0.873, 12.4, 1,234, 25k."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:g}M"
    if size >= 1e4:
        return f"{value / 1e3:g}k"
    if size >= 1e3:
        return f"{value:,.0f}"
    if 0 < size < 1e-3:
        return f"{value:.2g}"
    return f"{value:.3g}"


def _path(x: Axis, y: Axis, series: Series, number: int) -> str:
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in zip(x.at(series.steps), y.at(series.values), strict=True))
    if len(series.steps) == 1:
        px, py = points.split(",")
        return f'<circle class="dot s{number}" cx="{px}" cy="{py}" r="3"/>'
    return f'<polyline class="line s{number}" points="{points}"/>'


def _legend(name: str, series: Series, number: int) -> str:
    sample = (
        f'<svg viewBox="0 0 24 6" aria-hidden="true"><line class="line s{number}" x1="0" y1="3" x2="24" y2="3"/></svg>'
    )
    return f"<li>{sample}{escape(name)} <b>{short(float(series.values[-1]))}</b></li>"


def axes(x: Axis, y: Axis, name: str) -> str:
    """Both axes with their ticks, and the name of the lower one."""
    parts = []
    for tick in y.ticks:
        at = float(y.at(np.array(tick)))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in x.ticks:
        at = float(x.at(np.array(tick)))
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(tick)}</text>'
        )
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y.start}" y2="{y.start}"/>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{escape(name)}</text>')
    return "".join(parts)
