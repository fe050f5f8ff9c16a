"""Settings of the stage `build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from hrm.puzzles import Puzzle
from hrm.settings import Name, NonNegativeInt, PositiveInt, Seed, Settings


class BuildSettings(Settings):
    """From raw files to a dataset (paper section "Evaluation details"; the published builders)."""

    puzzle: Puzzle
    """The kind of puzzle, with its canvas or box size."""
    sources: Annotated[list[Name], Field(default_factory=list, min_length=1)]
    """Names under `sources:`; groups are numbered in this order."""
    published: Path | None = None
    """In the place of sources, a folder in the published layout, relative to where the command runs: it is trained and
    evaluated on as it is, so that nothing below applies. DVC notices a change in it if it lies below `external/`."""
    variants: NonNegativeInt = 0
    """Augmented variants of each training group besides the original; symmetric groups may have fewer."""
    subsample: PositiveInt | None = None
    """Train on this many groups, drawn at random; all when left out."""
    min_rating: NonNegativeInt = 0
    """Leave out examples rated below this (Sudoku: search effort, Maze: path length)."""
    easier_copies: NonNegativeInt = 0
    """Copies of each training puzzle with some of its blanks filled from the answer, from one to all but one; each is a
    group of its own, with its own variants. Sudokus only."""
    seed: Seed = 0
    """Seeds variants, the subsample and what easier copies fill."""

    @field_validator("sources")
    @classmethod
    def _once(cls, sources: list[str]) -> list[str]:
        if len(set(sources)) < len(sources):
            raise ValueError("each source may stand here once")
        return sources

    @model_validator(mode="after")
    def _together(self) -> Self:
        if bool(self.sources) == (self.published is not None):
            raise ValueError("give either sources or published")
        if self.easier_copies and not self.puzzle.eases:
            raise ValueError(f"easier_copies: there are none of a {self.puzzle.title}; leave it out")
        if self.published is not None and (others := sorted(self.model_fields_set - {"puzzle", "published"})):
            raise ValueError(f"{', '.join(others)} cannot change a published folder; leave it out")
        return self
