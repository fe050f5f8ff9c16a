"""Settings of the stage `register`."""

from __future__ import annotations

from pydantic import Field

from hrm.settings import Fraction, Name, Settings


class PublishedScore(Settings):
    """What the authors or users of the published code report for a recipe."""

    metric: str
    """Name of the score."""
    value: float
    """Its value, in per cent."""
    hardware: str
    """What it was trained on."""
    time: str
    """How long that took."""


class RegisterSettings(Settings):
    """The registered model."""

    description: str
    """What the model is for, in a sentence or two; shown in the registry."""
    name: Name | None = None
    """Name of the registered model; the experiment's when left out."""
    minimum: dict[str, Fraction] = Field(default_factory=dict)
    """Scores that a model must reach to be registered, by name, of `evaluate.json` or `vote.json`: `pass@2: 0.3`."""
    published: PublishedScore | None = None
    """The published score of this recipe, shown beside ours."""
