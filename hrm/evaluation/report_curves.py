"""The report's curves of the training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from hrm.evaluation.chart import Series, line_chart
from hrm.evaluation.markup import details
from hrm.tracking.curves import read_curves

# Charts in reading order; what is not named here follows, folded away.
CHARTS = {
    "exact_accuracy": "Exact accuracy",
    "loss": "Loss",
    "token_accuracy": "Token accuracy",
    "steps": "Steps a puzzle takes",
}


def curves(path: Path) -> str:
    """The curves of a training as charts, by its `curves.csv`, which may be missing."""
    rows = read_curves(path)
    charts: dict[str, dict[str, Series]] = {}
    for column in dict.fromkeys(column for values in rows.values() for column in values):
        points = [
            (step, values[column])
            for step, values in rows.items()
            if column in values and math.isfinite(values[column])
        ]
        part, _, metric = column.rpartition("/")
        if points:
            steps, measured = np.array(points, dtype=np.float64).T
            charts.setdefault(metric, {})[part or metric] = Series(steps, measured)
    if not charts:
        return '<p class="note">No curves were recorded for this run.</p>'
    shown = [line_chart(CHARTS[metric], charts[metric]) for metric in CHARTS if metric in charts]
    folded = [line_chart(metric.replace("_", " "), lines) for metric, lines in charts.items() if metric not in CHARTS]
    more = details("More curves", f'<div class="charts">{"".join(folded)}</div>') if folded else ""
    return f'<div class="charts">{"".join(shown)}</div>{more}'
