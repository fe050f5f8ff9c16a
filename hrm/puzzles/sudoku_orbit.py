"""Canonical forms: which Sudokus are the same but for symmetry.

The symmetries are those of `Sudoku`: transposing (square boxes), rows within a band, bands, columns within a stack,
stacks, digits. The canonical form of a puzzle is the smallest of its images, in two steps that avoid looking at all of
them (3.4 million ways to move the cells of a 9 x 9 grid):

1. of its solution, read row by row as one number: whatever the columns' order, digits can be renamed so that the first
   row is 1, 2, 3, ...; the other rows then have one smallest order. The second row rules out nearly all candidates;
2. of the puzzle, over the few arrangements that make its solution smallest.

Letters for shapes: S side, P column orders, A arrangements, L = S * S cells.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes, Ints

Places = NDArray[np.intp]


def canonical_form(box: tuple[int, int], question: Bytes, answer: Bytes) -> bytes:
    """The same bytes for two puzzles with a unique solution exactly if a symmetry maps one to the other.

    Args:
        box: height and width of a box.
        question: (S, S) the puzzle, 0 for a blank.
        answer: (S, S) its solution.
    """
    places_AL, labels_AD = _arrangements(box, answer.astype(np.uint8).tobytes())
    images_AL: Bytes = np.take_along_axis(labels_AD, question.ravel()[places_AL].astype(np.intp), axis=1)
    forms: list[bytes] = [image.tobytes() for image in images_AL]
    return min(forms)


@lru_cache(maxsize=512)  # a 4 x 4 Sudoku has only 288 solutions
def _arrangements(box: tuple[int, int], answer: bytes) -> tuple[Places, Bytes]:
    """The arrangements that make a solution smallest: (A, L) where each cell comes from, (A, S + 1) the new digits."""
    side = box[0] * box[1]
    grid = np.frombuffer(answer, np.uint8).reshape(side, side).astype(np.intp)
    cells = np.arange(side * side).reshape(side, side)
    views = [(grid, cells)] if box[0] != box[1] else [(grid, cells), (grid.T, cells.T)]
    best: tuple[bytes, list[Places], list[Bytes]] = (b"", [], [])
    for (view, view_cells), first, order in _candidates(views, box):
        labels, rows = _arrange(view, first, order, box)
        number = labels[view[rows][:, order]].tobytes()
        if not best[0] or number < best[0]:
            best = (number, [], [])
        if number == best[0]:
            best[1].append(view_cells[rows][:, order].ravel())
            best[2].append(labels)
    return np.array(best[1]), np.array(best[2])


def _candidates(
    views: list[tuple[Places, Places]], box: tuple[int, int]
) -> list[tuple[tuple[Places, Places], int, Places]]:
    """View, first row and column order of each arrangement whose second row is smallest."""
    side = box[0] * box[1]
    orders_PS = _line_orders(box[1], box[0])
    inverse_PS = np.argsort(orders_PS, axis=1)
    powers_S = side ** np.arange(side)[::-1]
    found: list[tuple[Ints, tuple[Places, Places], int]] = []
    for view in views:
        for first in range(side):
            where = np.argsort(view[0][first])  # the column of each digit in the first row
            mates = [row for row in _band(first, box) if row != first]
            columns_MPS = where[view[0][mates] - 1][:, orders_PS]
            digits_MPS = np.take_along_axis(inverse_PS[None], columns_MPS, axis=2)
            found.append(((digits_MPS @ powers_S).min(axis=0), view, first))
    smallest = min(int(seconds_P.min()) for seconds_P, _, _ in found)
    return [
        (view, first, orders_PS[order])
        for seconds_P, view, first in found
        for order in np.flatnonzero(seconds_P == smallest)
    ]


def _arrange(view: Places, first: int, order: Places, box: tuple[int, int]) -> tuple[Bytes, list[int]]:
    """New digits and order of rows, given the first row and the order of columns."""
    side = len(view)
    labels = np.zeros(side + 1, np.uint8)
    labels[view[first, order]] = np.arange(1, side + 1)
    lines = [line.tobytes() for line in labels[view[:, order]]]
    # The first row reads 1, 2, 3, ...: nothing is smaller, so sorting puts it and its band first.
    bands = [sorted(_band(start, box), key=lines.__getitem__) for start in range(0, side, box[0])]
    return labels, [row for band in sorted(bands, key=lambda band: lines[band[0]]) for row in band]


def _band(row: int, box: tuple[int, int]) -> range:
    start = row // box[0] * box[0]
    return range(start, start + box[0])


@lru_cache
def _line_orders(group: int, groups: int) -> Places:
    """(P, S) all orders of lines that keep `groups` groups of `group` neighbours together."""
    inner = list(permutations(range(group)))
    return np.array(
        [
            [which * group + line for which, lines in zip(outer, chosen, strict=True) for line in lines]
            for outer in permutations(range(groups))
            for chosen in product(inner, repeat=groups)
        ],
        dtype=np.intp,
    )
