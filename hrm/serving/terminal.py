"""Grids drawn in a terminal: cells on coloured ground where it shows colours, as characters elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes, PuzzleKind

CHANGED = "*"
"""Stands behind a cell that changed; every cell has room for it."""
LEVELS = (0, 95, 135, 175, 215, 255)
"""The shades that the 6 × 6 × 6 cube of a terminal's 256 colours is made of."""


def drawing(puzzle: PuzzleKind, grid: Bytes, question: Bytes, changed: NDArray[np.bool], *, colour: bool) -> str:
    """Lines of text that show a grid.

    Args:
        puzzle: the kind of puzzle, whose legend says what a cell looks like.
        grid: an answer.
        question: what it answers; cells that it gives are set apart where they are digits.
        changed: cells to mark, of the grid's shape.
        colour: whether escape sequences are understood.
    """
    if not grid.size:
        return "(a grid without cells)"
    cell = _painter(puzzle, grid, question, changed) if colour else _writer(puzzle, grid, changed)
    height, width = grid.shape
    box_height, box_width = puzzle.legend.box or grid.shape
    lines = []
    for row in range(height):
        if row and row % box_height == 0:
            lines.append("+-".join(["-" * 2 * box_width] * (width // box_width)))
        boxes = [range(left, min(left + box_width, width)) for left in range(0, width, box_width)]
        lines.append("| ".join("".join(cell(row, column) for column in columns) for columns in boxes).rstrip())
    return "\n".join(lines)


def _writer(puzzle: PuzzleKind, grid: Bytes, changed: NDArray[np.bool]) -> Callable[[int, int], str]:
    def cell(row: int, column: int) -> str:
        return puzzle.symbols[grid[row, column]] + (CHANGED if changed[row, column] else " ")

    return cell


def _painter(puzzle: PuzzleKind, grid: Bytes, question: Bytes, changed: NDArray[np.bool]) -> Callable[[int, int], str]:
    legend = puzzle.legend

    def cell(row: int, column: int) -> str:
        value = int(grid[row, column])
        given = legend.given is not None and bool(question[row, column])
        fill = legend.given if given and legend.given else legend.fills[value]
        text = (legend.texts[value] or " ") + (CHANGED if changed[row, column] else " ")
        weight = "1;" if given or changed[row, column] else ""
        return f"\x1b[{weight}38;5;{_nearest(legend.inks[value])};48;5;{_nearest(fill)}m{text}\x1b[0m"

    return cell


@cache
def _nearest(colour: str) -> int:
    """The number, among a terminal's 256 colours, of the one nearest to `#rrggbb`."""
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    cube = {16 + 36 * r + 6 * g + b: (LEVELS[r], LEVELS[g], LEVELS[b]) for r, g, b in product(range(6), repeat=3)}
    grey = {232 + step: (8 + 10 * step,) * 3 for step in range(24)}
    known = cube | grey
    return min(known, key=lambda number: sum((a - b) ** 2 for a, b in zip(known[number], wanted, strict=True)))
