"""How far more votes and segments take a model: what its page says to those who ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hrm.data.dataset import Dataset
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.effort import efforts, rules_for
from hrm.evaluation.predictions import Predictions, open_predictions
from hrm.evaluation.score import wilson
from hrm.evaluation.trace import open_trace

RULES = ("votes", "valid")
"""The voting rules that are told of: the published one, and the one that gains most where it applies."""


def gains(folder: Path, dataset: Dataset) -> str:
    """Right first answers by the parameters of a request, on the test puzzles, as a table in Markdown.

    Args:
        folder: the predictions of an evaluation; those of its own first state and newest checkpoint count.
        dataset: the one that they are of.

    Returns:
        The table; empty where the evaluation asked once only and left no trace.

    Raises:
        UserError: when the predictions are damaged.
    """
    predicted = open_predictions(folder, dataset)
    predicted = predicted.where((predicted.starts == 0) & (predicted.checkpoints == 0))
    found = [*_by_segments(folder, dataset, predicted), *_by_votes(dataset, predicted)]
    rows = []
    for asked, share, count in found:
        low, high = wilson(share, count)
        rows.append(f"| {asked} | {share:.1%} | {low:.1%} – {high:.1%} | {count:,} test puzzles |")
    return "\n".join(["| params | right | 95 % interval | of |", "|---|---:|---:|---:|", *rows]) if rows else ""


def _by_segments(folder: Path, dataset: Dataset, predicted: Predictions) -> Iterator[tuple[str, float, int]]:
    """One answer after 1, 2, 4 ... and all segments; nothing where puzzles halted, for a served model runs them all."""
    trace = open_trace(folder, dataset.puzzle.canvas)
    if trace is None or (predicted.steps[predicted.original] < trace.segments).any():
        return
    most = trace.segments
    for steps in (*(2**power for power in range(most.bit_length()) if 2**power < most), most):
        yield f'`{{"steps": {steps}}}`', int(trace.right[steps - 1]) / trace.count, trace.count


def _by_votes(dataset: Dataset, predicted: Predictions) -> Iterator[tuple[str, float, int]]:
    """2, 4, 8 ... and all copies, by each rule."""
    if not predicted.copies.any():
        return
    candidates = candidates_in(predicted, dataset)
    rules = [rule for rule in rules_for(candidates) if rule in RULES]
    for effort in efforts(predicted, candidates, rules):
        if effort.votes > 1:
            rule = "" if effort.rule == "votes" else f', "rule": "{effort.rule}"'
            yield f'`{{"votes": {effort.votes}{rule}}}`', float(np.mean(effort.exact_E)), len(effort.exact_E)
