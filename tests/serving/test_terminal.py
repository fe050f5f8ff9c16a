"""What a terminal shows of a grid."""

import re

import numpy as np
import pytest

from hrm.puzzles import Arc, Maze, PuzzleKind, Sudoku
from hrm.puzzles.base import Bytes
from hrm.puzzles.light_up import LightUp
from hrm.serving.terminal import drawing

ESCAPED = re.compile(r"\x1b\[(1;)?38;5;(\d+);48;5;(\d+)m(.*?)\x1b\[0m")


def none(grid: Bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool]]:
    return np.zeros(grid.shape, np.bool)


def test_boxes_need_not_be_square() -> None:
    puzzle = Sudoku(box=(2, 3))
    grid = puzzle.parse("123456" + "." * 30)
    lines = drawing(puzzle, grid, grid, none(grid), colour=False).splitlines()
    assert lines[:3] == ["1 2 3 | 4 5 6", ". . . | . . .", "------+-------"]
    assert len(lines) == 8


def test_what_changed_is_marked_and_nothing_else() -> None:
    puzzle = Maze(size=3)
    before, after = puzzle.parse("S #\n# #\n# G"), puzzle.parse("So#\n#o#\n#oG")
    shown = drawing(puzzle, after, before, before != after, colour=False)
    assert shown == "S o*#\n# o*#\n# o*G"
    cells = ESCAPED.findall(drawing(puzzle, after, before, before != after, colour=True))
    assert [text.endswith("*") for *_, text in cells] == (before != after).ravel().tolist()


@pytest.mark.parametrize("puzzle", [Arc(canvas_size=4), Maze(size=4), LightUp(size=4), Sudoku(box=(2, 2))])
def test_every_value_has_a_character_and_colours_of_its_own(puzzle: PuzzleKind) -> None:
    values = len(puzzle.legend.names)
    assert len(set(puzzle.symbols[:values])) == values
    grid = np.arange(values, dtype=np.uint8)[None]
    plain = drawing(puzzle, grid, none(grid), none(grid), colour=False)
    assert "\x1b" not in plain
    assert set(plain) >= set(puzzle.symbols[:values]) - {" "}
    cells = ESCAPED.findall(drawing(puzzle, grid, none(grid), none(grid), colour=True))
    assert len(cells) == values
    if not puzzle.legend.box:
        assert len({(ground, text) for *_, ground, text in cells}) == values


def test_givens_are_set_apart() -> None:
    puzzle = Sudoku(box=(2, 2))
    answer, question = puzzle.parse("1234341221434321"), puzzle.parse("1" + "." * 15)
    cells = ESCAPED.findall(drawing(puzzle, answer, question, none(answer), colour=True))
    assert [bool(bold) for bold, *_ in cells] == [True] + [False] * 15
    grounds = [ground for *_, ground, _ in cells]
    assert grounds[0] != grounds[1]
    assert len(set(grounds)) == 2


def test_an_answer_without_cells_is_said_to_be_one() -> None:
    empty = np.zeros((0, 0), np.uint8)
    assert drawing(Arc(), empty, empty, none(empty), colour=True) == "(a grid without cells)"
