"""Mazes with a long shortest path, drawn from a seed, as Maze-Hard was made.

Walls stand at random (Lehnert et al. 2024, Searchformer), and a maze is kept where the shortest path is long enough.
With random ends only one 30 x 30 maze in 2500 has a path of more than 110 steps, so ends are looked for far apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from hrm.puzzles import dihedral
from hrm.puzzles.base import Bytes, Rng
from hrm.puzzles.held_out import Draw, write_splits
from hrm.puzzles.maze import CHARACTERS, FREE, GOAL, PATH, START, WALL
from hrm.puzzles.maze_paths import is_unique, layers, place, shortest_path, to_bits
from hrm.puzzles.square import Size
from hrm.puzzles.table import Row
from hrm.settings import Seed, Settings

PATIENCE = 100_000
"""Attempts in a row without a usable maze after which the settings count as impossible."""

Density = Annotated[float, Field(ge=0, lt=1)]


class MazeGenerator(Settings):
    """Writes `train.csv` and `test.csv` with mazes; no maze is a turned or mirrored copy of one in the other split.

    The rating of a maze is the number of steps of its shortest path. Where there are several, the answer is
    always the one that `shortest_path` prefers.
    """

    kind: Literal["maze"] = "maze"
    size: Size = 30
    """Height and width."""
    train: PositiveInt
    """Mazes of the training split."""
    test: PositiveInt
    """Mazes of the test split."""
    seed: Seed = 0
    """The same seed gives the same mazes on every machine."""
    wall_density: tuple[Density, Density] = (0.3, 0.5)
    """Each maze has walls with a probability drawn between these two."""
    min_path: Annotated[int, Field(ge=1)] = 110
    """The shortest path is longer than this many steps."""
    unique: bool = False
    """Keep only mazes that have one shortest path: then turned and mirrored copies never contradict each other."""

    @model_validator(mode="after")
    def _possible(self) -> MazeGenerator:
        low, high = self.wall_density
        if low > high:
            raise ValueError(f"wall_density = [{low}, {high}]: the first must not be larger than the second")
        # A shortest path never runs beside itself, which leaves it at most two thirds of the cells.
        longest = 2 * self.size**2 // 3
        if self.min_path >= longest:
            raise ValueError(f"min_path = {self.min_path} must be less than {longest} for size = {self.size}")
        return self

    def write(self, into: Path) -> None:
        """Write the two files below a folder.

        Raises:
            UserError: when mazes with so long a path are too rare.
        """
        write_splits(into, self._draws(), train=self.train, test=self.test, patience=PATIENCE)

    def _draws(self) -> Iterator[Draw | None]:
        rng = np.random.Generator(np.random.Philox(self.seed))
        while True:
            maze = self._without_ends(rng)
            open_cells = to_bits(maze == FREE)
            ends = self._far_apart(open_cells, rng)
            yield self._draw(maze, open_cells, *ends) if ends else None

    def _without_ends(self, rng: Rng) -> Bytes:
        density = rng.uniform(*self.wall_density)
        return np.where(rng.random((self.size, self.size)) < density, np.uint8(WALL), np.uint8(FREE))

    def _far_apart(self, open_cells: int, rng: Rng) -> tuple[int, int] | None:
        """A random start and goal, more than `min_path` steps apart, or None if no such pair is found.

        The farthest cell from any cell lies at an end of the maze. When nothing is far from that end, the maze is given
        up, as other pairs are hardly ever far apart. Otherwise the goal is a random cell far from that end, and the
        start a random cell far from the goal.
        """
        if not open_cells:
            return None
        end = layers(open_cells, _one_of(open_cells, rng), self.size)[-1]
        far = self._far_from(end & -end, open_cells)
        if not far:
            return None
        goal = _one_of(far, rng)
        return _one_of(self._far_from(goal, open_cells), rng), goal

    def _far_from(self, cell: int, open_cells: int) -> int:
        far = 0
        for front in layers(open_cells, cell, self.size)[self.min_path + 1 :]:
            far |= front
        return far

    def _draw(self, maze: Bytes, open_cells: int, start: int, goal: int) -> Draw | None:
        fronts = layers(open_cells, start, self.size)
        if self.unique and not is_unique(fronts, goal, self.size):
            return None
        maze[place(start, self.size)] = START
        maze[place(goal, self.size)] = GOAL
        path = shortest_path(fronts, goal, self.size)
        answer = maze.copy()
        for cell in path:
            answer[place(cell, self.size)] = PATH
        family = dihedral.family(maze)
        return Draw(Row("generated", _line(maze), _line(answer), len(path) + 1), family)


def _one_of(cells: int, rng: Rng) -> int:
    """One random cell of a set."""
    places = np.flatnonzero(
        np.unpackbits(np.frombuffer(cells.to_bytes(cells.bit_length() // 8 + 1, "little"), np.uint8), bitorder="little")
    )
    return 1 << int(places[rng.integers(len(places))])


def _line(maze: Bytes) -> str:
    """The maze as the published tables write it: all rows in one line."""
    return "".join(CHARACTERS[value - 1] for value in maze.ravel().tolist())
