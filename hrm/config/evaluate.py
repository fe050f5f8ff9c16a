"""Settings of the stage `evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hrm.settings import PositiveInt, Seed, Settings

Noise = Annotated[float, Field(gt=0, le=1000)]
"""Of more than that nothing of the model's own is left, and then it overflows."""


class EvaluateSettings(Settings):
    """Predictions on the test split. Each (copy, start, checkpoint) of a puzzle is one prediction, and has one vote."""

    copies: PositiveInt | None = None
    """Symmetric copies of each test puzzle, the original first. ARC: the trained variants, all when left out. Other
    kinds: drawn at random, 1 when left out."""
    starts: PositiveInt = 1
    """States that each copy is begun from: first the model's own, then others with noise on it."""
    noise: Noise = 0.5
    """Deviation of that noise, relative to the model's own initial state."""
    checkpoints: PositiveInt = 1
    """Newest checkpoints of the run that answer, each in turn; a finished training leaves as many as
    `train.checkpoints.leave` says."""
    steps: Literal["max", "halt"] = "max"
    """How many segments a puzzle takes: all of them, as published, or until the model prefers to halt."""
    max_steps: PositiveInt | None = None
    """Most segments a puzzle may take, those of the training when left out; more are allowed."""
    batch_size: PositiveInt = 256
    """Predictions that one process makes at a time; does not change any result beyond rounding."""
    processes: PositiveInt | Literal["auto"] = "auto"
    """Processes that `hrm evaluate` starts: one a GPU, or 1 without a GPU, when `auto`."""
    max_puzzles: PositiveInt | None = None
    """Evaluate the first test puzzles only."""
    seed: Seed = 0
    """Seeds the choice of copies and the noise."""
