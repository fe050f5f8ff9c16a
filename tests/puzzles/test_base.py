"""What every kind of puzzle inherits."""

from __future__ import annotations

import numpy as np
import pytest

from hrm.puzzles import Arc, Maze, Sudoku
from hrm.puzzles.base import Examples, Grids, Table


def examples(groups: list[int]) -> Examples:
    grids = Grids(np.zeros((len(groups), 4, 4), np.uint8), np.full((len(groups), 2), 4, np.uint8))
    return Examples(grids, grids, np.array(groups, np.int64), np.zeros(len(groups), np.int64))


def test_variants_are_for_groups_with_training_examples() -> None:
    puzzle = Sudoku(box=(2, 2))
    table = Table(["a", "b", "c", "d"], examples([0, 2, 2]), examples([1, 3]), {})
    symmetries, starts = puzzle.variants(table, 5, 0)
    assert starts.tolist() == [0, 6, 7, 13, 14]
    assert symmetries.shape == (14, len(puzzle.identity))
    assert (symmetries[starts[:-1]] == puzzle.identity).all()
    drawn = np.delete(symmetries, starts[:-1], axis=0)
    assert len(np.unique(drawn, axis=0)) == len(drawn)
    assert np.array_equal(puzzle.variants(table, 5, 0)[0], symmetries)
    assert not np.array_equal(puzzle.variants(table, 5, 1)[0], symmetries)
    assert np.array_equal(puzzle.variants(table, 0, 0)[0], symmetries[starts[:-1]])


def test_grids_lie_at_the_top_left_and_must_fit_their_canvas() -> None:
    grids = Grids.of([np.ones((2, 3), np.uint8), np.ones((4, 4), np.uint8)], (4, 4))
    assert grids.shapes.tolist() == [[2, 3], [4, 4]]
    assert grids.grid(0).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert grids.cells.sum() == 6 + 16
    assert Grids.of([], (4, 4)).cells.shape == (0, 4, 4)
    for shape in ((2, 5), (5, 2)):
        with pytest.raises(ValueError, match=f"a grid of {shape[0]} × {shape[1]} cells is larger than 4 × 4"):
            Grids.of([np.ones(shape, np.uint8)], (4, 4))


def test_only_arc_goes_by_the_rules_of_the_arc_prize() -> None:
    kinds = (Arc(), Sudoku(), Maze())
    assert [(kind.title, kind.arc_prize) for kind in kinds] == [("ARC", True), ("Sudoku", False), ("Maze", False)]
