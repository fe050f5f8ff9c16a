"""Training examples kept as tokens, every variant written out: what the published layout holds.

Letters for shapes: N examples, P puzzles (variants), G groups, M puzzles and B examples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.data.batch import IGNORED, Batch
from hrm.puzzles.base import Bytes, Ints

Starts = NDArray[np.int32]


@dataclass(frozen=True)
class StoredExamples:
    """One split, memory-mapped."""

    inputs: Bytes
    """(N, L) tokens of the questions."""
    labels: Bytes
    """(N, L) tokens of the answers."""
    puzzle_ids: NDArray[np.int32]
    """(P,) the puzzle embedding of each puzzle."""
    puzzle_starts: Starts
    """(P + 1,) where each puzzle's examples start."""
    group_starts: Starts
    """(G + 1,) where each group's puzzles start; the puzzles of a group have equally many examples."""

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def groups(self) -> Ints:
        """(N,) the group each example belongs to, ascending."""
        sizes_G = np.diff(self.puzzle_starts[self.group_starts])
        return np.repeat(np.arange(len(sizes_G)), sizes_G)

    def columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The arrays by the names of their files in a dataset."""
        yield "inputs", self.inputs
        yield "labels", self.labels
        yield "puzzle_ids", self.puzzle_ids
        yield "puzzle_starts", self.puzzle_starts
        yield "group_starts", self.group_starts


class StoredPuzzles:
    """Stored examples as the loader draws from them: tokens as they are, whatever was done to them."""

    def __init__(self, examples: StoredExamples, ignored_label: int | None) -> None:
        """Prepare to draw.

        Args:
            examples: the train split.
            ignored_label: the token that is not learned, if any.
        """
        self._examples, self._ignored = examples, ignored_label
        self.variant_starts_G = np.asarray(examples.group_starts[:-1], np.int64)
        self.variant_counts_G = np.diff(examples.group_starts).astype(np.int64)
        self.sizes_G = np.diff(examples.puzzle_starts)[self.variant_starts_G].astype(np.int64)

    def firsts(self, groups_M: Ints, variants_M: Ints) -> Ints:
        """(M,) the first example of each puzzle."""
        return self._examples.puzzle_starts[variants_M].astype(np.int64)

    def batch(
        self, examples_B: Ints, variants_B: Ints, moved_B: NDArray[np.bool_], where_B2: NDArray[np.float64]
    ) -> Batch:
        """The examples of the drawn puzzles; they were moved when they were stored."""
        labels = self._examples.labels[examples_B].astype(np.int32)
        if self._ignored is not None:
            labels[labels == self._ignored] = IGNORED
        inputs = self._examples.inputs[examples_B].astype(np.int32)
        return Batch(inputs, labels, self._examples.puzzle_ids[variants_B].astype(np.int32))


def distinct(ascending: Ints) -> Ints:
    """Each number once; `np.unique` takes seconds for millions that are all different."""
    return ascending[np.flatnonzero(np.diff(ascending, prepend=-1))]


def ranges(firsts: NDArray[np.integer[Any]], sizes: Ints) -> Ints:
    """Ranges of rows one after another, each from its first on."""
    begins = np.cumsum(sizes) - sizes
    rows: Ints = np.repeat(firsts - begins, sizes) + np.arange(sizes.sum())
    return rows
