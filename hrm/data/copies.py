"""Test puzzles and their symmetric copies, in the order in which they are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.data.batch import Batch, encode_batch, symmetric
from hrm.data.dataset import Dataset
from hrm.puzzles.base import Bytes, Ints


@dataclass(frozen=True)
class Copies:
    """M copies of test examples, ordered by example, then copy; copy 0 is the original."""

    dataset: Dataset
    example_M: Ints
    """Rows of `dataset.test`."""
    copy_M: Ints
    symmetries_MK: Bytes
    puzzle_ids_M: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.example_M)

    def batch(self, rows: slice | Ints) -> Batch:
        """Some of the copies as tokens; test puzzles are never moved on the canvas."""
        puzzle, test = self.dataset.puzzle, self.dataset.test
        examples, symmetries = self.example_M[rows], self.symmetries_MK[rows]
        return encode_batch(
            puzzle,
            symmetric(puzzle, test.questions.take(examples), symmetries),
            symmetric(puzzle, test.answers.take(examples), symmetries),
            self.puzzle_ids_M[rows],
        )


def symmetric_copies(dataset: Dataset, *, copies: int | None, max_puzzles: int | None, seed: int) -> Copies:
    """The copies of the test examples.

    Args:
        dataset: the dataset.
        copies: how many of each example, the original included. Kinds with puzzle ids take their variants, fewer
            where a group has fewer, all when None; other kinds draw symmetries, none besides the original when None.
        max_puzzles: only the first test examples.
        seed: of the drawn symmetries.
    """
    examples = np.arange(len(dataset.test))[:max_puzzles]
    if dataset.puzzle.has_puzzle_ids:
        return _trained_variants(dataset, examples, copies)
    return _drawn_symmetries(dataset, examples, copies or 1, seed)


def _trained_variants(dataset: Dataset, examples_N: Ints, copies: int | None) -> Copies:
    groups_N = dataset.test.groups[examples_N]
    counts_N = np.diff(dataset.starts)[groups_N]
    if copies is not None:
        counts_N = np.minimum(counts_N, copies)
    example_M = np.repeat(examples_N, counts_N)
    copy_M = np.arange(len(example_M)) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
    variants_M = np.repeat(np.asarray(dataset.starts)[groups_N], counts_N) + copy_M
    return Copies(dataset, example_M, copy_M, dataset.symmetries[variants_M], (variants_M + 1).astype(np.int32))


def _drawn_symmetries(dataset: Dataset, examples_N: Ints, copies: int, seed: int) -> Copies:
    rng = np.random.Generator(np.random.Philox(seed))
    count = len(examples_N) * copies
    copy_M = np.tile(np.arange(copies), len(examples_N))
    symmetries_MK = dataset.puzzle.sample(count, rng)
    symmetries_MK[copy_M == 0] = dataset.puzzle.identity
    return Copies(dataset, np.repeat(examples_N, copies), copy_M, symmetries_MK, np.zeros(count, np.int32))
