"""Settings of the stage `vote`."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from hrm.settings import Settings


def _ascending(ks: tuple[int, ...]) -> tuple[int, ...]:
    if any(first >= second for first, second in pairwise(ks)):
        raise ValueError("each K must be larger than the one before")
    return ks


class VoteSettings(Settings):
    """From predictions on copies to ranked answers."""

    ks: Annotated[tuple[PositiveInt, ...], Field(min_length=1), AfterValidator(_ascending)] = (1, 2, 10, 100, 1000)
    """The K of each pass@K."""
    max_copies: PositiveInt | None = None
    """Count only the first copies of each puzzle."""
    drawn_puzzles: PositiveInt = 24
    """Puzzles drawn in the report."""
