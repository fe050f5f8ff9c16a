"""Hard Sudokus: minimal puzzles, thousands at a time, of which those with a high rating are kept.

Only one random minimal 9 x 9 puzzle in thirty takes ten wrong guesses, and nothing tells before the puzzle is done.
Each comes from a solution of its own, so that no two look alike.

Letters for shapes: L cells, N puzzles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hrm.puzzles.base import Bytes, Rng
from hrm.puzzles.sudoku_batch import BatchSolver, narrowest

BATCH = 2048
"""Puzzles made at once: enough to keep the overhead small, few enough for a processor's cache. Changes the results."""


class HardSudoku(NamedTuple):
    """A puzzle with one solution."""

    question_L: Bytes
    answer_L: Bytes
    rating: int
    """Wrong guesses of a complete search."""


def hard_sudokus(box: tuple[int, int], seed: int, min_rating: int) -> Iterator[HardSudoku | None]:
    """Endless minimal puzzles rated `min_rating` or more, in order of the seed; None for each that is rated less."""
    solver, batch = BatchSolver(box), 0
    while True:
        # A batch depends on nothing but the seed and its number.
        rng = np.random.Generator(np.random.Philox([seed, batch]))
        answers_LN = random_solutions(solver, BATCH, rng)
        questions_LN = minimal_puzzles(solver, answers_LN, rng)
        ratings_N = solver.search(solver.masks(questions_LN)).dead_ends_N
        for question_L, answer_L, rating in zip(questions_LN.T, answers_LN.T, ratings_N.tolist(), strict=True):
            yield HardSudoku(question_L, answer_L, rating) if rating >= min_rating else None
        batch += 1


def random_solutions(solver: BatchSolver, count: int, rng: Rng) -> Bytes:
    """(L, N) solved grids: random guesses, from the start again at a contradiction."""
    solutions_LN = np.zeros((solver.side**2, count), np.uint8)
    masks_LN, busy = solver.masks(solutions_LN), np.arange(count)
    while len(busy):
        masks_LN, alive_N = solver.settle(masks_LN)
        masks_LN[:, ~alive_N] = solver.all
        cell_N, choices_N = narrowest(masks_LN)
        (done,), (open_,) = np.nonzero(choices_N == 1), np.nonzero(choices_N > 1)
        solutions_LN[:, busy[done]] = np.bitwise_count(masks_LN.take(done, axis=1) - 1) + 1  # of single bits
        busy, masks_LN, cell_N = busy[open_], masks_LN.take(open_, axis=1), cell_N[open_]
        options_NS = masks_LN[cell_N, np.arange(len(busy)), None] >> np.arange(solver.side) & 1
        wishes_NS = rng.permuted(np.tile(np.arange(1, solver.side + 1), (len(busy), 1)), axis=1)
        masks_LN[cell_N, np.arange(len(busy))] = 1 << (wishes_NS * options_NS).argmax(axis=1)
    return solutions_LN


def minimal_puzzles(solver: BatchSolver, answers_LN: Bytes, rng: Rng) -> Bytes:
    """(L, N) a puzzle with each solution from which no given can be left out: givens go in random order."""
    digits_LN = answers_LN.copy()
    cells, count = answers_LN.shape
    # A given that is needed now is needed later, when there are fewer: one pass is enough.
    for cell_N in rng.permuted(np.tile(np.arange(cells)[:, None], (1, count)), axis=0):
        here = cell_N, np.arange(count)
        masks_LN = solver.masks(digits_LN)
        masks_LN[here] ^= solver.all  # any digit but the given one
        needed_N = solver.search(masks_LN, first=True).solved_N
        digits_LN[here] *= needed_N
    return digits_LN
