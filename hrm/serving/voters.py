"""Which symmetric copies of a puzzle vote on its answer: those that `hrm.data.copies` lets vote on a test puzzle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes, PuzzleKind


@dataclass(frozen=True)
class Voters:
    """C copies of a puzzle; the first is the puzzle itself."""

    symmetries_CK: Bytes
    """What makes each copy of the puzzle."""
    puzzle_ids_C: NDArray[np.int32]
    """The puzzle embedding of each."""

    def __len__(self) -> int:
        return len(self.symmetries_CK)


def alone(puzzle: PuzzleKind) -> Voters:
    """No copy but the puzzle itself, with the blank embedding."""
    return Voters(puzzle.identity[None], np.zeros(1, np.int32))


class Electorate:
    """The copies of any puzzle of a kind."""

    def __init__(self, puzzle: PuzzleKind, names: Sequence[str] = ()) -> None:
        """Take the names of all puzzle ids, in their order (`hrm.data.published.identifiers`); none for most kinds."""
        self._puzzle, self._names = puzzle, names
        self._ids = {name: puzzle_id for puzzle_id, name in enumerate(names)}

    def voters(self, votes: int, task: str | None = None) -> Voters:
        """The copies for a puzzle, the same each time.

        Args:
            votes: how many, the puzzle itself included. A task has its trained variants, which may be fewer.
            task: the name of a puzzle id; None for the blank one, whose copies are drawn.

        Raises:
            ValueError: when the model was not trained on that task.
        """
        if task is None:
            symmetries_CK = self._puzzle.sample(votes, np.random.Generator(np.random.Philox(0)))
            symmetries_CK[0] = self._puzzle.identity
            return Voters(symmetries_CK, np.zeros(votes, np.int32))
        if task not in self._ids:
            raise ValueError(f"task {task!r} is not one that the model was trained on")
        first = self._ids[task]
        symmetries = [self._puzzle.identity]
        for name in self._names[first + 1 : first + votes]:
            group, symmetry = self._puzzle.read_variant_name(name)
            if group != task:
                break
            symmetries.append(symmetry)
        return Voters(np.stack(symmetries), np.arange(first, first + len(symmetries), dtype=np.int32))
