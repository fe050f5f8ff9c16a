"""Puzzles that are in both splits: a test puzzle that was trained on tests nothing.

Letters for shapes: N puzzles of a split, L cells of a puzzle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes

BLOCK = 1 << 14
"""Puzzles looked at together."""


def in_both(train_NHW: Bytes, test_NHW: Bytes) -> list[tuple[int, int]]:
    """The rows of test puzzles that are training puzzles too, each with that one's row, ascending.

    Sums of the cells, weighted at random, are compared before the cells are: eight bytes a puzzle in memory.
    """
    train_N, test_N = _sums(train_NHW), _sums(test_NHW)
    tested = np.flatnonzero(np.isin(test_N, train_N))
    trained = np.flatnonzero(np.isin(train_N, test_N[tested]))
    row_of = {train_NHW[row].tobytes(): row for row in trained.tolist()}
    keys = {row: test_NHW[row].tobytes() for row in tested.tolist()}
    return [(row, row_of[key]) for row, key in keys.items() if key in row_of]


def _sums(cells_NHW: Bytes) -> NDArray[np.uint64]:
    length = int(np.prod(cells_NHW.shape[1:]))
    weights_L = np.random.default_rng(0).integers(1 << 63, size=length, dtype=np.uint64)
    sums_N = np.empty(len(cells_NHW), np.uint64)
    for start in range(0, len(cells_NHW), BLOCK):
        rows = slice(start, start + BLOCK)
        sums_N[rows] = cells_NHW[rows].reshape(-1, length) @ weights_L
    return sums_N
