"""Two versions puzzle by puzzle, in a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hrm.errors import UserError
from hrm.evaluation.paired import Paired
from hrm.evaluation.score import wilson
from hrm.progress import note
from hrm.puzzles.base import Ints
from hrm.serving.outcome import TESTS, Outcome, read_outcome

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LISTED = 20
"""Puzzles whose numbers are printed."""


@dataclass(frozen=True)
class Comparison:
    """Two versions of one model on the same test puzzles."""

    versions: tuple[ModelVersion, ModelVersion]
    outcomes: tuple[Outcome, Outcome]

    @classmethod
    def of(cls, client: MlflowClient, first: ModelVersion, second: ModelVersion) -> Comparison:
        """Read what both solved.

        Raises:
            UserError: when they are the same, or were tested on other puzzles, or what one solved is not on record.
        """
        if first.version == second.version:
            raise UserError(f"{first.name}: version {first.version} twice; name two versions to compare")
        outcomes = []
        for version in (first, second):
            outcome = read_outcome(client, version)
            if outcome is None:
                raise UserError(
                    f"{version.name} version {version.version}: which puzzles it solved is not on record; register "
                    "that model again"
                )
            outcomes.append(outcome)
        if first.tags.get(TESTS) != second.tags.get(TESTS):
            raise UserError(
                f"{first.name}: versions {first.version} and {second.version} were tested on different puzzles, which "
                "cannot be compared; evaluate both on the same dataset and register them again"
            )
        return cls((first, second), (outcomes[0], outcomes[1]))

    @property
    def paired(self) -> Paired:
        """The counts; `new` is the first version."""
        return Paired.of(self.outcomes[0].solved_E, self.outcomes[1].solved_E)

    def alone(self, side: int) -> Ints:
        """The puzzles that one version alone solves, counted from 0."""
        return np.flatnonzero(self.outcomes[side].solved_E & ~self.outcomes[1 - side].solved_E)

    def rows(self) -> list[tuple[str, int]]:
        """Who solves how many."""
        return self.paired.rows(*self._names)

    def verdict(self) -> str:
        """Whether one is better."""
        verdict = self.paired.verdict(*self._names)
        return verdict[0].upper() + verdict[1:]

    @property
    def _names(self) -> tuple[str, str]:
        first, second = self.versions
        return f"version {first.version}", f"version {second.version}"


def compare(client: MlflowClient, first: ModelVersion, second: ModelVersion, out: Path | None) -> str:
    """The comparison in words; drawn as well, where `out` names a page.

    Raises:
        UserError: see `Comparison.of`.
    """
    compared = Comparison.of(client, first, second)
    if out is not None:
        from hrm.serving.comparison_page import write_page

        write_page(client, compared, out)
        note(f"{out}")
    width = max(len(label) for label, _ in compared.rows())
    count = f"{compared.paired.count:,}"
    lines = [f"{first.name}: versions {first.version} and {second.version} on the same {count} test puzzles"]
    lines += [f"  {label:<{width}}  {count:>7,}" for label, count in compared.rows()]
    for version, outcome in zip(compared.versions, compared.outcomes, strict=True):
        lines.append(f"version {version.version}: {share(outcome)}")
    lines.append(compared.verdict())
    for side, version in enumerate(compared.versions):
        if len(alone := compared.alone(side)):
            more = f" and {len(alone) - LISTED:,} more" if len(alone) > LISTED else ""
            numbers = " ".join(map(str, alone[:LISTED].tolist()))
            lines.append(f"solved by version {version.version} alone, puzzles counted from 0: {numbers}{more}")
    return "\n".join(lines)


def share(outcome: Outcome) -> str:
    """How much is solved, with its interval."""
    fraction = float(outcome.solved_E.mean())
    low, high = wilson(fraction, len(outcome.solved_E))
    return f"{fraction:.1%} exact (95 % interval {low:.1%} to {high:.1%})"
