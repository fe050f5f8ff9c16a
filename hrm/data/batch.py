"""What the model is given at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes, Grids, PuzzleKind

IGNORED = -100
"""The label that no loss and no score looks at."""


@dataclass(frozen=True)
class Batch:
    """B examples as tokens."""

    inputs: NDArray[np.int32]
    """(B, L) tokens of the questions."""
    labels: NDArray[np.int32]
    """(B, L) tokens of the answers, `IGNORED` where there is nothing to learn."""
    puzzle_ids: NDArray[np.int32]
    """(B,) the puzzle embedding of each example, 0 where a kind has none."""

    def __len__(self) -> int:
        return len(self.puzzle_ids)


def encode_batch(
    puzzle: PuzzleKind,
    questions: Grids,
    answers: Grids,
    puzzle_ids: NDArray[np.integer],
    offsets_B2: NDArray[np.integer] | None = None,
) -> Batch:
    """Grids as a batch; a question and its answer are moved by the same offset."""
    labels = puzzle.encode(answers, offsets_B2).astype(np.int32)
    if puzzle.ignored_label is not None:
        labels[labels == puzzle.ignored_label] = IGNORED
    inputs = puzzle.encode(questions, offsets_B2).astype(np.int32)
    return Batch(inputs, labels, puzzle_ids.astype(np.int32))


def symmetric(puzzle: PuzzleKind, grids: Grids, symmetries_BK: Bytes) -> Grids:
    """`grids` under `symmetries_BK`, without work where every symmetry is the identity."""
    if (symmetries_BK == puzzle.identity).all():
        return grids
    return puzzle.transform(grids, symmetries_BK)
