"""Settings of the stage `evaluate`."""

from __future__ import annotations

from pydantic import PositiveInt

from hrm.settings import Seed, Settings


class EvaluateSettings(Settings):
    """Predictions on the test split."""

    copies: PositiveInt | None = None
    """Symmetric copies of each test puzzle, the original first. ARC: the trained variants, all when left out. Other
    kinds: drawn at random, 1 when left out."""
    batch_size: PositiveInt = 256
    """Copies at a time; does not change any result."""
    max_puzzles: PositiveInt | None = None
    """Evaluate the first test puzzles only."""
    seed: Seed = 0
    """Seeds the choice of copies."""
