"""Settings of `hrm search`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hrm.config.evaluate import Noise
from hrm.settings import Fraction, PositiveInt, Settings


class SearchSettings(Settings):
    """What is tried on a trained model.

    That is every way of halting with every limit on segments, and of the predictions that each of them makes 1, 2, 4
    ... and all, under each voting rule.
    """

    steps: Annotated[tuple[Literal["max", "halt"], ...], Field(min_length=1)] = ("max", "halt")
    """Ways of halting: see `evaluate.steps`."""
    max_steps: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    """Limits on the segments of a puzzle; once and twice as many as in training when left out."""
    copies: PositiveInt = 16
    """Most symmetric copies of a puzzle."""
    starts: PositiveInt = 2
    """Most states that each copy is begun from."""
    noise: Noise = 0.5
    """Deviation of the noise on them: see `evaluate.noise`."""
    checkpoints: PositiveInt = 1
    """Most checkpoints that answer, the newest ones."""
    max_puzzles: PositiveInt = 500
    """Test puzzles it is tried on, the first ones: one half to choose by, the other to report on."""
    target: Fraction = 0.95
    """Share of solved puzzles whose cheapest setting is looked for."""
