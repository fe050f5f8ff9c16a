"""What a search found, in words, as a table and as a page with a chart."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from hrm.evaluation.chart import Series
from hrm.evaluation.effort_chart import effort_chart
from hrm.evaluation.markup import short_interval, table
from hrm.evaluation.plain_page import plain_page
from hrm.evaluation.score import wilson
from hrm.evaluation.search import Trial, cheapest, frontier

HEADS = ("segments", "solved", "95 % interval", "steps", "copies", "starts", "checkpoints", "rule")


def verdict(trials: Sequence[Trial], choosing_E: NDArray[np.bool_], target: float) -> str:
    """Which setting is the cheapest for the target, or how far the best one comes."""
    found = cheapest(trials, choosing_E, target)
    shown = found or frontier(trials, choosing_E)[-1]
    said = (
        f"The cheapest for {target:.1%}: {shown.overrides()}"
        if found
        else f"None reaches {target:.1%} on the half that chooses. The best there: {shown.overrides()}"
    )
    share, count = shown.solved(~choosing_E), int((~choosing_E).sum())
    bounds = short_interval(wilson(share, count))
    return (
        f"{said}\nIt takes {shown.effort.segments:,.1f} segments a puzzle, and solves {share:.1%} of the {count:,} "
        f"puzzles that did not choose (95 % interval {bounds})."
    )


def text(trials: Sequence[Trial], choosing_E: NDArray[np.bool_], target: float) -> str:
    """The table of the frontier, and the verdict, for a terminal."""
    lines = [HEADS, *_rows(frontier(trials, choosing_E), choosing_E)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([*drawn, "", verdict(trials, choosing_E, target)])


def page(name: str, trials: Sequence[Trial], choosing_E: NDArray[np.bool_], target: float) -> str:
    """The same as a page that needs no other file, with the frontier of each rule drawn."""
    lines = {}
    for rule in dict.fromkeys(trial.effort.rule for trial in trials):
        best = frontier([trial for trial in trials if trial.effort.rule == rule], choosing_E)
        lines[str(rule)] = Series(*np.array([(one.effort.segments, one.solved(~choosing_E)) for one in best]).T)
    rows = _rows(frontier(trials, choosing_E), choosing_E)
    found = "".join(f"<p>{escape(line)}</p>" for line in verdict(trials, choosing_E, target).splitlines())
    body = (
        f"<main>{found}"
        f'<p class="note">{len(trials):,} settings were tried. Half of the tasks chose the best for each cost; these '
        "figures are of the other half.</p>"
        f'<div class="charts">{effort_chart("Puzzles solved against compute, by rule", lines)}</div>'
        f"<section><h2>The best setting for each cost</h2>{table('The best setting for each cost', HEADS, rows)}"
        "</section></main>"
    )
    return plain_page(name, "search", "", body)


def _rows(best: Sequence[Trial], choosing_E: NDArray[np.bool_]) -> list[tuple[str, ...]]:
    rows = []
    for trial in best:
        effort, share = trial.effort, trial.solved(~choosing_E)
        bounds = short_interval(wilson(share, int((~choosing_E).sum())))
        counts = (f"{count:,}" for count in (effort.copies, effort.starts, effort.checkpoints))
        steps = f"{trial.steps} {trial.max_steps}"
        rows.append((f"{effort.segments:,.1f}", f"{share:.1%}", bounds, steps, *counts, effort.rule))
    return rows
