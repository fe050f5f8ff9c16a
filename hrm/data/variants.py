"""Examples as a variant of their puzzle has them, and where on the canvas a training example goes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hrm.data.batch import Batch, encode_batch, symmetric
from hrm.data.dataset import Dataset
from hrm.data.stored import distinct
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind


def as_variants(puzzle: PuzzleKind, examples: Examples, rows_B: Ints, symmetries_BK: Bytes) -> tuple[Grids, Grids]:
    """Questions and answers of some examples, each pair under its symmetry."""
    questions = symmetric(puzzle, examples.questions.take(rows_B), symmetries_BK)
    answers = symmetric(puzzle, examples.answers.take(rows_B), symmetries_BK)
    return questions, answers


def places(
    puzzle: PuzzleKind, questions: Grids, answers: Grids, where_B2: NDArray[np.float64], moved_B: NDArray[np.bool_]
) -> Ints | None:
    """(B, 2) how far each example is moved down and right; None where a kind of puzzle never moves.

    Args:
        puzzle: the kind of puzzle.
        questions: the questions.
        answers: their answers, which move with them: both stay on the canvas.
        where_B2: where to, from 0 to 1 of the room there is.
        moved_B: which examples move at all.
    """
    if not puzzle.translates:
        return None
    room_B2 = np.array(puzzle.canvas) - np.maximum(questions.shapes, answers.shapes)
    offsets_B2: Ints = (where_B2 * (room_B2 + 1)).astype(np.int64) * moved_B[:, None]
    return offsets_B2


class VariantPuzzles:
    """The puzzles of a split that keeps each example once, as the loader draws from them.

    Letters for shapes: G groups that have examples in the split, M puzzles and B examples of a batch.
    """

    def __init__(self, dataset: Dataset, examples: Examples) -> None:
        """Prepare to draw.

        Args:
            dataset: the dataset.
            examples: one of its splits.
        """
        self._dataset, self._examples = dataset, examples
        groups = distinct(examples.groups)
        counts = np.bincount(examples.groups, minlength=len(dataset.names))
        self.sizes_G = counts[groups]
        self.variant_starts_G = np.asarray(dataset.starts[:-1])[groups]
        self.variant_counts_G = np.diff(dataset.starts)[groups]
        self.firsts_G = (np.cumsum(counts) - counts)[groups]

    def firsts(self, groups_M: Ints, variants_M: Ints) -> Ints:
        """(M,) the first example of each puzzle."""
        firsts_M: Ints = self.firsts_G[groups_M]
        return firsts_M

    def batch(
        self, examples_B: Ints, variants_B: Ints, moved_B: NDArray[np.bool_], where_B2: NDArray[np.float64]
    ) -> Batch:
        """The examples under the symmetries of their variants, moved on the canvas where a kind of puzzle moves."""
        puzzle = self._dataset.puzzle
        symmetries_BK = self._dataset.symmetries[variants_B]
        questions, answers = as_variants(puzzle, self._examples, examples_B, symmetries_BK)
        offsets_B2 = places(puzzle, questions, answers, where_B2, moved_B)
        puzzle_ids = variants_B + 1 if puzzle.has_puzzle_ids else np.zeros(len(variants_B), np.int64)
        return encode_batch(puzzle, questions, answers, puzzle_ids, offsets_B2)
