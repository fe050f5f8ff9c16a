"""Settings of the stage `vote`."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hrm.settings import PositiveInt, Settings

Rule = Literal["votes", "weighted", "confidence", "valid"]
"""What ranks the answers to a puzzle: see `hrm.evaluation.vote`."""


def _ascending(ks: tuple[int, ...]) -> tuple[int, ...]:
    if any(first >= second for first, second in pairwise(ks)):
        raise ValueError("each K must be larger than the one before")
    return ks


class VoteSettings(Settings):
    """From predictions on copies to ranked answers."""

    ks: Annotated[tuple[PositiveInt, ...], Field(min_length=1), AfterValidator(_ascending)] = (1, 2, 10, 100, 1000)
    """The K of each pass@K."""
    rule: Rule = "votes"
    """What ranks the answers. `votes`: as published, the number of votes, then the mean of the model's confidence in
    them. `weighted`: the sum of the confidences. `confidence`: the highest one. `valid`: answers that obey the puzzle's
    rules first, then as `votes`; for kinds whose rules tell (not ARC). None looks at a true answer."""
    max_copies: PositiveInt | None = None
    """Count only the first copies of each puzzle."""
    drawn_puzzles: PositiveInt = 24
    """Puzzles drawn in the report."""
