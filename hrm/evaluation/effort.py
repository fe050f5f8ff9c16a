"""What more computing buys: how many puzzles are solved by some of the predictions, under each voting rule.

Compute is counted in segments, the unit of a model's work. A true answer is looked at only to count what is right.

Shapes: M predictions, E test puzzles voted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hrm.config.vote import Rule
from hrm.evaluation.candidates import Candidates
from hrm.evaluation.predictions import Predictions
from hrm.evaluation.vote import standing_of


@dataclass(frozen=True)
class Effort:
    """Some of the predictions, and what comes first when they vote."""

    copies: int
    """Symmetric copies of each puzzle, the first ones."""
    starts: int
    checkpoints: int
    rule: Rule
    segments: float
    """Run for each puzzle, on average."""
    exact_E: NDArray[np.bool_]
    """(E,) whether the first answer is the known one."""
    solved_E: NDArray[np.bool_]
    """(E,) the same, or whether it obeys the puzzle's rules, where these tell."""

    @property
    def votes(self) -> int:
        """Most predictions of a puzzle."""
        return self.copies * self.starts * self.checkpoints


def rules_for(candidates: Candidates) -> list[Rule]:
    """The voting rules that apply."""
    return [rule for rule in get_args(Rule) if rule != "valid" or candidates.valid is not None]


def efforts(
    predictions: Predictions, candidates: Candidates, rules: Sequence[Rule], *, by_copies: bool = False
) -> Iterator[Effort]:
    """The outcome of 1, 2, 4 ... and all copies, starts and checkpoints of each puzzle, under each rule.

    Args:
        predictions: of some puzzles.
        candidates: theirs.
        rules: those that are asked for; they apply.
        by_copies: whether all starts and checkpoints vote each time, and only the copies are varied.
    """
    places = (predictions.copies, predictions.starts, predictions.checkpoints)
    of_copies, *others = (doubled(int(place_M.max()) + 1) for place_M in places)
    of_starts, of_checkpoints = (other[-1:] if by_copies else other for other in others)
    for copies, starts, checkpoints in product(of_copies, of_starts, of_checkpoints):
        counts = (copies, starts, checkpoints)
        keep_M = np.all([place_M < count for place_M, count in zip(places, counts, strict=True)], axis=0)
        some, q_halt = candidates.where(keep_M), predictions.q_halt[keep_M]
        segments = float(predictions.steps[keep_M].sum() / len(candidates.examples))
        for rule in rules:
            standing = standing_of(some, q_halt, rule)
            first_E = standing.order[standing.ranks[standing.order] == 0]
            exact_E = first_E == some.truths
            solved_E = exact_E if some.valid is None else some.valid[first_E]
            yield Effort(*counts, rule, segments, exact_E, solved_E)


def doubled(most: int) -> list[int]:
    """1, 2, 4 ... below a number, and the number."""
    return [2**power for power in range(most.bit_length()) if 2**power < most] + [most]
