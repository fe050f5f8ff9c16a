"""Easier copies of training puzzles: some blanks are filled from the answer.

Letters for shapes: N training examples, M easier copies, L cells of a grid.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hrm.puzzles.base import Bytes, Examples, Grids, Rng, Table

STREAM = 1
"""Keeps what is filled apart from what else the same seed draws."""
BLOCK = 1 << 15
"""Copies made together."""


def with_easier_copies(table: Table, copies: int, seed: int) -> Table:
    """A table with easier copies of each training example, in groups of their own after all others.

    They are named `<name>~1`, `<name>~2` and so on, and have no rating: nobody has tried how hard they are.

    Args:
        table: puzzles of a kind that `eases`, a group each.
        copies: how many of each training example; one with a single blank has none.
        seed: the result is a pure function of it and of the table.
    """
    if not copies:
        return table
    train, rng = table.train, np.random.Generator(np.random.Philox([seed, STREAM]))
    can_N = (train.questions.cells == 0).sum(axis=(1, 2)) > 1
    origin_M = np.repeat(np.flatnonzero(can_N), copies)
    originals = train.take(origin_M)
    cells = np.empty_like(originals.questions.cells)
    for start in range(0, len(cells), BLOCK):
        rows = slice(start, start + BLOCK)
        cells[rows] = fill(originals.questions.cells[rows], originals.answers.cells[rows], rng)
    names = [f"{table.names[group]}~{copy}" for group in train.groups[can_N].tolist() for copy in range(1, copies + 1)]
    easier = Examples(
        questions=Grids(cells, originals.questions.shapes),
        answers=originals.answers,
        groups=len(table.names) + np.arange(len(cells)),
        ratings=np.zeros(len(cells), np.int64),
    )
    return replace(table, names=[*table.names, *names], train=train.joined(easier))


def fill(questions_MHW: Bytes, answers_MHW: Bytes, rng: Rng) -> Bytes:
    """Fill some blanks of each question, from one to all but one, every number of them equally likely."""
    questions_ML = questions_MHW.reshape(len(questions_MHW), -1)
    blank_ML = questions_ML == 0
    filled_M = rng.integers(1, blank_ML.sum(axis=1))
    # The blanks in random order, before the givens; each one's place in it.
    order_ML = np.where(blank_ML, rng.random(questions_ML.shape), 2).argsort(axis=1).argsort(axis=1)
    eased_ML = np.where(order_ML < filled_M[:, None], answers_MHW.reshape(questions_ML.shape), questions_ML)
    return eased_ML.reshape(questions_MHW.shape)
