"""What a symmetry does, in words, and what each cell value looks like."""

import re

import numpy as np
import pytest
from toy_kind import Opposite

from hrm.puzzles import Arc, Maze, PuzzleKind, Sudoku, dihedral


@pytest.mark.parametrize(
    ("kind", "symmetry", "said"),
    [
        (Arc(), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "unchanged"),
        (Arc(), [3, 0, 2, 1, 3, 4, 5, 6, 7, 9, 8], None),
        (Maze(), [4], "flipped left-right"),
        (Sudoku(box=(2, 2)), [1, 1, 0, 2, 3, 0, 1, 2, 3, 0, 1, 2, 4, 3], None),
        (Sudoku(box=(2, 2)), [0, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 4], "columns in the order 3 4 1 2"),
        (Opposite(), [0], "unchanged"),
        (Opposite(), [1], "turned"),
    ],
)
def test_a_symmetry_in_words(kind: PuzzleKind, symmetry: list[int], said: str | None) -> None:
    long = {
        "arc": "turned 90° clockwise; blue → red, red → blue, light blue → maroon, maroon → light blue",
        "sudoku": "transposed; rows in the order 2 1 3 4; 3 → 4, 4 → 3",
    }
    assert kind.describe(np.array(symmetry, np.uint8)) == (said or long[kind.kind])


def test_turns_are_named_for_what_they_do() -> None:
    grid = np.arange(6).reshape(2, 3)
    does = dict(zip(dihedral.NAMES, range(dihedral.COUNT), strict=True))
    for name, turned in {
        "": grid,
        "turned 90° counter-clockwise": np.rot90(grid),
        "turned 180°": np.rot90(grid, 2),
        "turned 90° clockwise": np.rot90(grid, -1),
        "flipped left-right": np.fliplr(grid),
        "flipped up-down": np.flipud(grid),
        "transposed": grid.T,
        "anti-transposed": np.rot90(grid, 2).T,
    }.items():
        assert np.array_equal(dihedral.apply(grid, does[name]), turned)


@pytest.mark.parametrize("kind", [Arc(), Sudoku(box=(2, 2)), Maze(size=4)])
def test_the_legend_has_the_colours_of_the_drawings(kind: PuzzleKind) -> None:
    legend = kind.legend
    assert len(legend.fills) == len(legend.names) == len(legend.texts) == len(legend.inks)
    for value, fill in enumerate(legend.fills):
        svg = kind.draw(np.full((4, 4), value, np.uint8))
        wanted = legend.given if legend.given and value else fill
        assert set(re.findall('<path fill="(#.{6})"', svg)) == {wanted}
        assert set(re.findall("<text [^>]+>(.)</text>", svg)) == set(legend.texts[value])


def test_a_kind_without_colours_of_its_own_shows_numbers() -> None:
    legend = Opposite().legend
    assert legend.texts == ("0", "1", "2")
    assert len(set(legend.fills)) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", fill) for fill in legend.fills)
    assert set(legend.inks) == {"#16161d"}
