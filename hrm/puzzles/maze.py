"""Mazes: Maze-Hard's characters and rules.

Letters for shapes: H = W = size.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from hrm.puzzles.base import Bytes
from hrm.puzzles.drawing import Legend, Stretch, svg_grid
from hrm.puzzles.maze_paths import distance, to_bits
from hrm.puzzles.square import Size, SquareKind

CHARACTERS = "# SGo"
"""Wall, free, start, goal, path: cell values, and tokens, 1 to 5."""
WALL, FREE, START, GOAL, PATH = range(1, 6)
FILLS = ("#b4b4bc", "#2b2d42", "#ffffff", "#8ecae6", "#ffd166", "#f4a261")
"""The colour of each cell value; the first for a cell without one."""
NAMES = ("no value", "wall", "free", "start", "goal", "path")


class Maze(SquareKind):
    """Square mazes of walls and free cells; the answer marks a shortest path from start to goal."""

    kind: Literal["maze"] = "maze"
    size: Size = 30
    """Height and width."""

    characters: ClassVar[str] = CHARACTERS
    legend: ClassVar[Legend] = Legend(FILLS, NAMES, ("", "", "", "S", "G", ""))
    rating_name: ClassVar[str] = "path length"
    limits: ClassVar[str] = "Solves mazes of this size only. An answer may be wrong: `valid` says so."

    def fault(self, question: Bytes, answer: Bytes) -> str | None:
        """What keeps the answer from adding to the maze a shortest path from start to goal, whichever, and no more."""
        if any(np.count_nonzero(question == value) != count for value, count in ((START, 1), (GOAL, 1), (PATH, 0))):
            return "a question has one S, one G and no o"
        path = answer == PATH
        if not np.array_equal(np.where(path, FREE, answer), question):
            return "the answer differs from the question by more than a path of o"
        start, goal = to_bits(question == START), to_bits(question == GOAL)
        width = question.shape[1]
        shortest = distance(to_bits(question != WALL), start, goal, width)
        if shortest is None:
            return "no path leads from S to G"
        # A path of n steps has n - 1 cells between its ends; with more, some would be beside it.
        along = distance(to_bits(path) | start | goal, start, goal, width)
        if along != shortest or np.count_nonzero(path) != shortest - 1:
            return "the answer is not a shortest path from S to G"
        return None

    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        """A maze as SVG; in an answer, a line follows the path.

        Cells that differ from the question by anything but a path through a free cell are framed.
        """
        wrong = None
        if question is not None:
            wrong = (grid != question) & ~((question == FREE) & (grid == PATH))
        return svg_grid(
            [[FILLS[value] for value in row] for row in grid.tolist()],
            label=f"{self.size} × {self.size} maze",
            texts=[[self.legend.texts[value] for value in row] for row in grid.tolist()],
            marked=wrong,
            route=_steps(grid),
        )


def _steps(grid: Bytes) -> list[Stretch]:
    """A path's line: from each of its cells to the next, and to the edge of start and goal, whose letters stay free."""
    path, ends = grid == PATH, (grid == START) | (grid == GOAL)
    stretches: list[Stretch] = []
    for down, right in ((1, 0), (0, 1)):
        here, there = (
            (slice(grid.shape[0] - down), slice(grid.shape[1] - right)),
            (slice(down, None), slice(right, None)),
        )
        for row, column in np.argwhere(path[here] & (path | ends)[there] | ends[here] & path[there]).tolist():
            first = 0.5 if ends[row, column] else 0.0
            last = 0.5 if ends[row + down, column + right] else 1.0
            stretches.append(((row + first * down, column + first * right), (row + last * down, column + last * right)))
    return stretches
