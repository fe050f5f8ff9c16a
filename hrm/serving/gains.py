"""How far more votes and segments take a model: what its page says to those who ask it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hrm.data.dataset import Dataset
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.effort import doubled, efforts, rules_for
from hrm.evaluation.predictions import Predictions
from hrm.evaluation.score import wilson
from hrm.evaluation.trace import Trace

RULES = ("votes", "valid")
"""The voting rules that are told of: the published one, and the one that gains most where it applies."""


def gains(predictions: Predictions, trace: Trace | None, dataset: Dataset) -> str:
    """Right first answers by the parameters of a request, on the test puzzles, as a table in Markdown.

    Args:
        predictions: of an evaluation; those of its own first state and newest checkpoint count.
        trace: how its answers came about; None where it left none.
        dataset: the one that they are of.

    Returns:
        The table; empty where the evaluation asked once only and left no trace.
    """
    predicted = predictions.where((predictions.starts == 0) & (predictions.checkpoints == 0))
    found = [*_by_segments(trace, predicted), *_by_votes(dataset, predicted)]
    rows = []
    for asked, share, count in found:
        low, high = wilson(share, count)
        rows.append(f"| {asked} | {share:.1%} | {low:.1%} – {high:.1%} | {count:,} test puzzles |")
    return "\n".join(["| params | right | 95 % interval | of |", "|---|---:|---:|---:|", *rows]) if rows else ""


def _by_segments(trace: Trace | None, predicted: Predictions) -> Iterator[tuple[str, float, int]]:
    """One answer after 1, 2, 4 ... and all segments; nothing where puzzles halted, for a served model runs them all."""
    if trace is None or predicted.halted(trace.segments):
        return
    for steps in doubled(trace.segments):
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
