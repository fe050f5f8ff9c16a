"""Puzzles as people and programs hand them in: as text, or as rows of cells."""

from __future__ import annotations

import re
import reprlib
from typing import Any

import numpy as np

from hrm.errors import UserError
from hrm.puzzles.base import Bytes, PuzzleKind


def question_of(puzzle: PuzzleKind, given: Any) -> Bytes:
    """The grid that was handed in, checked.

    Args:
        puzzle: the kind of puzzle.
        given: text that its `parse` reads, or rows of cell values (lists or arrays of numbers, or of their digits).

    Raises:
        ValueError: saying what is wrong with it.
    """
    if isinstance(given, str):
        return puzzle.parse(given)
    if not isinstance(given, list | np.ndarray) or not len(given):
        raise ValueError(f"expected a puzzle as text or as rows of cells, not {reprlib.repr(given)}")
    rows = [_row(row) for row in given]
    height, width = len(rows), len(rows[0])
    if any(len(row) != width for row in rows):
        raise ValueError("the rows are not of one length")
    if height > puzzle.canvas[0] or width > puzzle.canvas[1]:
        raise ValueError("{} rows of {} cells; the canvas has {} of {}".format(height, width, *puzzle.canvas))
    values = [[_cell(puzzle, cell) for cell in row] for row in rows]
    # A kind knows what it reads as text; a grid has to be such a one.
    return puzzle.parse(puzzle.format(np.array(values, np.uint8)))


def questions_in(puzzle: PuzzleKind, text: str, where: str) -> list[Bytes]:
    """The grids of a text that holds one puzzle, or several: a line each, or with empty lines between them.

    Args:
        puzzle: the kind of puzzle.
        text: as `parse` reads it.
        where: how messages name the text.

    Raises:
        UserError: naming the puzzle, counted from 1, and what is wrong with it.
    """
    try:
        return [puzzle.parse(text)]
    except ValueError as error:
        whole = error
    parts = [part for part in re.split(r"\n[ \t\r]*\n", text) if part.strip()]
    if len(parts) == 1:
        parts = [line for line in text.splitlines() if line.strip()]
    if len(parts) < 2:
        raise UserError(f"{where}: {whole}") from None
    questions = []
    for number, part in enumerate(parts, 1):
        try:
            questions.append(puzzle.parse(part.strip("\r\n")))
        except ValueError as error:
            if number == 1:  # most likely one puzzle, in several lines
                raise UserError(f"{where}: {whole}; as several puzzles, the first: {error}") from None
            raise UserError(f"{where}: puzzle {number} of {len(parts)}: {error}") from None
    return questions


def _row(row: Any) -> list[Any]:
    if not isinstance(row, list | np.ndarray) or not len(row):
        raise ValueError(f"expected a row of cells, not {reprlib.repr(row)}")
    return list(row)


def _cell(puzzle: PuzzleKind, cell: Any) -> int:
    """A cell's value; MLflow hands numbers on as their digits where a request gives `inputs` or `instances`."""
    last = len(puzzle.legend.names) - 1
    if isinstance(cell, str) and len(cell) <= 3 and cell.isascii() and cell.isdigit():
        cell = int(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | np.integer) or not 0 <= cell <= last:
        raise ValueError(f"{reprlib.repr(cell)} is no cell of a {puzzle.title}: expected a whole number up to {last}")
    return int(cell)
