"""Two models on the same puzzles: who solves what, and whether the difference is more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Below this p-value a difference is held to be more than chance."""


@dataclass(frozen=True)
class Paired:
    """Counts of puzzles by who solves them, of two models `new` and `old`."""

    both: int
    only_new: int
    only_old: int
    none: int

    @classmethod
    def of(cls, new_E: NDArray[np.bool_], old_E: NDArray[np.bool_]) -> Paired:
        """Count puzzles, given for each whether it is solved (E puzzles, the same in both)."""
        pairs = ((new_E & old_E), (new_E & ~old_E), (~new_E & old_E), (~new_E & ~old_E))
        return cls(*(int(pair.sum()) for pair in pairs))

    @property
    def count(self) -> int:
        """Puzzles in all."""
        return self.both + self.only_new + self.only_old + self.none

    @property
    def p_value(self) -> float:
        """See `sign_test`."""
        return sign_test(self.only_new, self.only_old)

    def rows(self, new: str, old: str) -> list[tuple[str, int]]:
        """Who solves how many, in words; the models are called `new` and `old`."""
        return [
            ("solved by both", self.both),
            (f"by {new} alone", self.only_new),
            (f"by {old} alone", self.only_old),
            ("by none", self.none),
        ]

    def verdict(self, new: str, old: str, unit: str = "puzzle") -> str:
        """Whether one is better, in words; `unit` is what the counts are of."""
        test = f"p = {self.p_value:.2g} (exact two-sided sign test over {unit}s, level {LEVEL:g})"
        if self.p_value >= LEVEL:
            return f"No more than chance: {test}."
        better, worse = (new, old) if self.only_new > self.only_old else (old, new)
        return f"{better} is better than {worse} by more than chance: {test}."

    @property
    def new_is_better(self) -> bool:
        """Whether the new model solves more, by more than chance."""
        return self.only_new > self.only_old and self.p_value < LEVEL


def sign_test(wins: int, losses: int) -> float:
    """The two-sided p-value of the exact sign test, which is McNemar's exact test.

    How probable a split at least as uneven would be if each of the puzzles that one of two models alone solves were as
    likely solved by either. Integers all the way: exact for any number of puzzles.
    """
    count = wins + losses
    term = total = 1
    for k in range(min(wins, losses)):
        term = term * (count - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / (1 << count))
