"""The best of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrm.errors import UserError
from hrm.stages.handover import require_plain
from hrm.stages.metadata import of_scores


def best(runs: Sequence[Sequence[Path]], metric: str) -> tuple[int, list[float]]:
    """Which run scores highest; the first of equals.

    Choosing by a score on test puzzles flatters the chosen run: its score on others is likely to be lower.

    Args:
        runs: the artifacts of each that hold `evaluate.json` and `vote.json`.
        metric: a score's name in either.

    Returns:
        The run's place, and the score of each.

    Raises:
        UserError: when there is no run, or no such score.
    """
    scores = []
    for artifacts in runs:
        known: dict[str, float] = {}
        for artifact in artifacts:  # where they lie: predictions are large, and no copy of them is needed
            require_plain(artifact)
            known |= of_scores(artifact)
        if metric not in known:
            raise UserError(f"metric = {metric}: no such score; there are {', '.join(known)}")
        scores.append(known[metric])
    if not scores:
        raise UserError("nothing to choose from; give at least one experiment and one seed")
    return scores.index(max(scores)), scores


def ranking(names: Sequence[str], scores: Sequence[float], metric: str) -> str:
    """The runs from best to worst, as a page in Markdown."""
    rows = sorted(zip(names, scores, strict=True), key=lambda row: -row[1])
    table = [f"| {name} | {score:.1%} |" for name, score in rows]
    return "\n".join([f"| run | {metric} |", "|---|---:|", *table]) + "\n"
