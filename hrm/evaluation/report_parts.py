"""The report's scores of parts of the test puzzles: by how hard they are, by set, and task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hrm.data.dataset import Dataset
from hrm.evaluation.bands import BY_SET, Band, bands_of
from hrm.evaluation.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, axes, axis, figure
from hrm.evaluation.markup import counted, details, per_cent, short_interval, table
from hrm.evaluation.score import wilson
from hrm.evaluation.tasks import Tasks
from hrm.evaluation.vote import Ranking

Series = Mapping[str, tuple[str, Mapping[str, Band]]]
"""By what is drawn, such as `voting`: the name of its score, and the parts' scores."""
APART = 12
"""Pixels between the dots of a band."""


def parts(ranking: Ranking, dataset: Dataset, evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> str:
    """The figure of the bands, where puzzles have ratings, and tables of sets and of tasks, where there are such."""
    tasks = _tasks(Tasks.of(ranking, dataset)) if dataset.puzzle.arc_prize else ""
    # A single vote adds nothing to the one answer.
    records = {"one answer": ("exact_accuracy", evaluate)} | ({"voting": ("pass@1", vote)} if vote["votes"] > 1 else {})
    name = dataset.puzzle.rating_name
    bands = _known({label: (key, dict(bands_of(dataset.puzzle, record))) for label, (key, record) in records.items()})
    sets = _known({label: (key, record.get(BY_SET, {})) for label, (key, record) in records.items()})
    drawn = f'<div class="charts">{_chart(name, bands)}</div>' if bands else ""
    if bands:
        drawn += details(f"Right answers by {name}, as a table", _table(name, bands))
    if sets:
        drawn += details("Right answers by set", _table("set", sets))
    return drawn + tasks


def _known(series: Series) -> Series:
    """Those that have scores: an evaluation of before has none of parts."""
    return {label: (key, of_label) for label, (key, of_label) in series.items() if of_label}


def _chart(name: str, series: Series) -> str:
    labels = list(next(iter(series.values()))[1])
    x = Axis(0.5, len(labels) + 0.5, (), LEFT, WIDTH - RIGHT)
    y = axis(0, 1, HEIGHT - BOTTOM, TOP, most=5)
    marks = "".join(
        f'<text class="tick" x="{_at(x, place):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>'
        for place, label in enumerate(labels)
    )
    for number, (key, of_label) in enumerate(series.values(), 1):
        shift = APART * (number - (len(series) + 1) / 2)
        for place, label in enumerate(labels):
            if label in of_label:
                marks += _mark(_at(x, place) + shift, y, number, *_share(of_label[label], key))
    legend = "".join(
        f'<li><svg viewBox="0 0 12 12" class="box" aria-hidden="true"><circle class="dot s{number}" cx="6" cy="6" '
        f'r="4"/></svg>{label}</li>'
        for number, label in enumerate(series, 1)
    )
    spoken = f"Share of right answers by {name}: " + "; ".join(
        f"{label} {', '.join(f'{band} {per_cent(float(one[key]))}' for band, one in of_label.items())}"
        for label, (key, of_label) in series.items()
    )
    return figure(f"Right answers by {name}", spoken, axes(x, y, name) + marks, f"{legend}<li>with 95 % intervals</li>")


def _at(x: Axis, place: int) -> float:
    return float(x.at(np.array(place + 1)))


def _share(band: Band, key: str) -> tuple[float, int]:
    return float(band[key]), int(band["count"])


def _mark(at: float, y: Axis, number: int, share: float, count: int) -> str:
    low, high, height = (float(y.at(np.array(value))) for value in (*wilson(share, count), share))
    return (
        f'<line class="whisker s{number}" x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        f'<circle class="dot s{number}" cx="{at:.1f}" cy="{height:.1f}" r="4"/>'
    )


def _table(name: str, series: Series) -> str:
    rows = []
    for label, (key, of_label) in series.items():
        for band, one in of_label.items():
            share, count = _share(one, key)
            rows.append([band, label, f"{count:,}", per_cent(share), short_interval(wilson(share, count))])
    heads: Sequence[str] = [name.capitalize(), "Answer", "Of", "Right", "95 % interval"]
    return table(f"Share of right answers by {name}", heads, rows)


def _tasks(tasks: Tasks) -> str:
    rows = [
        [name, f"{inputs:,}", f"pass@{k}" if k else "–", per_cent(share)] for name, inputs, k, share in tasks.rows()
    ]
    caption = "Each task with its test inputs, the first pass@K that counts it, and its share of the ARC Prize score"
    heads = ["Task", "Test inputs", "Counts from", "ARC Prize"]
    return details(f"{counted(len(rows), 'task')}, each by itself", table(caption, heads, rows))
