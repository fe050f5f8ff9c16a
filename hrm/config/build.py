"""Settings of the stage `build`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt, field_validator

from hrm.puzzles import Puzzle
from hrm.settings import Name, NonNegativeInt, Settings


class BuildSettings(Settings):
    """From raw files to a dataset (paper section "Evaluation details"; the published builders)."""

    puzzle: Puzzle
    """The kind of puzzle, with its canvas or box size."""
    sources: Annotated[list[Name], Field(min_length=1)]
    """Names under `sources:`; groups are numbered in this order."""
    variants: NonNegativeInt = 0
    """Augmented variants of each training group besides the original; symmetric groups may have fewer."""
    subsample: PositiveInt | None = None
    """Train on this many groups, drawn at random; all when left out."""
    min_rating: NonNegativeInt = 0
    """Leave out examples rated below this (Sudoku: search effort, Maze: path length)."""
    seed: NonNegativeInt = 0
    """Seeds variants and the subsample."""

    @field_validator("sources")
    @classmethod
    def _once(cls, sources: list[str]) -> list[str]:
        if len(set(sources)) < len(sources):
            raise ValueError("each source may stand here once")
        return sources
