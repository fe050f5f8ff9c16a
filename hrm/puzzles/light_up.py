"""Light Up (Akari): its rules, a solver that proves solutions unique, and a generator.

Bulbs go into free cells. A bulb lights its own cell and all cells up, left, right and down to the next wall. Every free
cell must be lit, no bulb may light another, and a wall with a number has that many bulbs beside it.

Letters for shapes: H = W = size, L = H * W cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from hrm.puzzles import dihedral
from hrm.puzzles.base import Bytes, Rng
from hrm.puzzles.drawing import Legend, svg_grid
from hrm.puzzles.held_out import Draw, write_splits
from hrm.puzzles.square import SquareKind
from hrm.puzzles.table import Row
from hrm.settings import Fraction, Seed, Settings

CHARACTERS = ".#01234*"
"""Free, wall, wall with a number, bulb: cell values, and tokens, 1 to 8."""
FREE, WALL, ZERO, FOUR, BULB = 1, 2, 3, 7, 8
FILLS = ("#b4b4bc", "#ffffff", *("#2b2d42",) * 6, "#ffe08a")
"""The colour of each cell value; the first for a cell without one."""
NAMES = ("no value", "free", "wall", *(f"wall with {number}" for number in range(5)), "bulb")
TEXTS = ("", "", "", *"01234●")
PATIENCE = 5000
"""Attempts in a row without a usable puzzle after which the settings count as impossible."""
Size = Annotated[int, Field(ge=2, le=20)]
Matrix = NDArray[np.bool]


class LightUp(SquareKind):
    """Light Up; the answer adds the bulbs to the question."""

    kind: Literal["light-up"] = "light-up"
    size: Size = 7
    """Height and width."""

    characters: ClassVar[str] = CHARACTERS
    legend: ClassVar[Legend] = Legend(FILLS, NAMES, TEXTS)
    title: ClassVar[str] = "Light Up"
    limits: ClassVar[str] = "Solves Light Up puzzles of this size only. An answer may be wrong: `valid` says so."

    def fault(self, question: Bytes, answer: Bytes) -> str | None:
        """What keeps the answer from lighting the question by the rules."""
        if not np.array_equal(np.where(answer == BULB, FREE, answer), question):
            return "the answer differs from the question by more than bulbs in free cells"
        light, blinded, miscounted = _judged(answer)
        if blinded.any():
            return "a bulb lights another"
        if miscounted.any():
            return "a wall has not the number of bulbs beside it that it says"
        return "a free cell stays dark" if (light[question == FREE] == 0).any() else None

    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        """Walls dark, lit cells yellow. In an answer, what breaks a rule (but dark cells) or is no bulb is framed."""
        light, blinded, miscounted = _judged(grid)
        fills = np.where((grid == FREE) & (light > 0), FILLS[BULB], np.array(FILLS)[grid]).tolist()
        texts = np.array(TEXTS)[grid].tolist()
        marked = None
        if question is not None:
            marked = blinded | miscounted | (grid != question) & ~((question == FREE) & (grid == BULB))
        return svg_grid(fills, label=f"{self.size} × {self.size} Light Up", texts=texts, marked=marked)


def _judged(grid: Bytes) -> tuple[NDArray[np.int64], Matrix, Matrix]:
    """(H, W) each: how many bulbs light a cell, bulbs that another lights, walls with a wrong number."""
    light, beside = _bulbs(_lit(grid), grid), _bulbs(_beside(grid), grid)
    return light, (grid == BULB) & (light > 1), (grid >= ZERO) & (grid <= FOUR) & (grid != ZERO + beside)


def _bulbs(matrix: Matrix, grid: Bytes) -> NDArray[np.int64]:
    """(H, W) how many bulbs there are among the cells that the matrix gives for a cell."""
    counts: NDArray[np.int64] = matrix @ (grid.ravel() == BULB).astype(np.int64)
    return counts.reshape(grid.shape)


def _lit(grid: Bytes) -> Matrix:
    """(L, L) which cells a bulb in a cell would light: those of its row and of its column up to the next wall."""
    wall = (grid >= WALL) & (grid <= FOUR)
    row, column = np.indices(grid.shape)
    # The stretches between walls, numbered by their row or column and the walls before them.
    across, down = (row + (wall.cumsum(axis=1) << 8)).ravel(), (column + (wall.cumsum(axis=0) << 8)).ravel()
    lit: Matrix = (across[:, None] == across) | (down[:, None] == down)
    return lit & ~(wall.ravel() | wall.reshape(-1, 1))


def _beside(grid: Bytes) -> Matrix:
    """(L, L) which cells touch."""
    row, column = np.indices(grid.shape).reshape(2, -1)
    return np.equal(abs(row[:, None] - row) + abs(column[:, None] - column), 1)


class Solver:
    """A complete search for the solutions of a puzzle; a set of cells is a whole number, its bits being cells."""

    def __init__(self, question: Bytes) -> None:
        cells = question.ravel().tolist()
        lit, beside = _sets(_lit(question)), _sets(_beside(question))
        self._lit = {1 << cell: lit[cell] for cell, value in enumerate(cells) if value == FREE}
        # Cells, and the fewest and the most bulbs among them.
        self._rules = [(cells, 1, len(question) * 2) for cells in self._lit.values()]
        self._rules += [(beside[cell], value - ZERO, value - ZERO) for cell, value in enumerate(cells) if value >= ZERO]
        self.dead_ends = 0
        """Guesses found wrong so far."""

    def solutions(self) -> Iterator[int]:
        """The bulbs of each solution."""
        return self._search(0, sum(self._lit))

    def _search(self, bulbs: int, possible: int) -> Iterator[int]:
        """The solutions with these bulbs, and others in `possible` cells only, which are all dark."""
        if (concluded := self._concluded(bulbs, possible)) is None:
            self.dead_ends += 1
            return
        bulbs, possible = concluded
        if not possible:
            yield bulbs
            return
        choices = min((possible & cells for cells in self._lit.values() if not bulbs & cells), key=int.bit_count)
        for bulb in _bits(choices):  # one of these lights a dark cell; the next is tried without those before
            yield from self._search(bulbs | bulb, possible & ~self._lit[bulb])
            possible ^= bulb

    def _concluded(self, bulbs: int, possible: int) -> tuple[int, int] | None:
        """With all bulbs that must be, and without the cells where none can be; None at a contradiction."""
        before = None
        while before != (bulbs, possible):
            before = bulbs, possible
            for cells, fewest, most in self._rules:
                there, choices = (bulbs & cells).bit_count(), possible & cells
                if not fewest - choices.bit_count() <= there <= most:
                    return None
                if there == most:
                    possible &= ~cells
                elif there + choices.bit_count() == fewest:
                    bulbs |= choices
                    for bulb in _bits(choices):
                        possible &= ~self._lit[bulb]
        return bulbs, possible


def rating_of(question: Bytes) -> int | None:
    """Wrong guesses in a complete search, 0 where conclusions are enough; None unless there is exactly one solution."""
    solver = Solver(question)
    return solver.dead_ends if len(list(islice(solver.solutions(), 2))) == 1 else None


def _sets(matrix: Matrix) -> list[int]:
    return [int.from_bytes(line.tobytes(), "little") for line in np.packbits(matrix, axis=1, bitorder="little")]


def _bits(cells: int) -> Iterator[int]:
    while cells:
        yield (cell := cells & -cells)
        cells ^= cell


class LightUpGenerator(Settings):
    """Puzzles of one solution, rated by `rating_of`; none is a turned or mirrored copy of one in the other split."""

    kind: Literal["light-up"] = "light-up"
    size: Size = 7
    """Height and width."""
    train: PositiveInt
    """Puzzles of the training split."""
    test: PositiveInt
    """Puzzles of the test split."""
    seed: Seed = 0
    """The same seed gives the same puzzles on every machine."""
    wall_density: Fraction = 0.25
    """The probability of a wall; with few, most puzzles have more solutions than one and are made in vain."""

    numbers: Literal["minimal", "all"] = "minimal"
    """`minimal`: no number could be left out. `all`: every wall has one, which makes easier puzzles."""

    def write(self, into: Path) -> None:
        """Write `train.csv` and `test.csv` below a folder.

        Raises:
            UserError: when puzzles with one solution are too rare.
        """
        rng = np.random.Generator(np.random.Philox(self.seed))
        draws = (self._draw(self._solved(rng), rng) for _ in count())
        write_splits(into, draws, train=self.train, test=self.test, patience=PATIENCE)

    def _solved(self, rng: Rng) -> Bytes:
        """Random walls, bulbs in cells that are dark still until none is, and the number on every wall."""
        wall = rng.random((self.size, self.size)) < self.wall_density
        grid = np.where(wall, np.uint8(WALL), np.uint8(FREE))
        lit, dark = _lit(grid), ~wall.ravel()
        for cell in rng.permutation(grid.size).tolist():
            if dark[cell]:
                grid.flat[cell] = BULB
                dark &= ~lit[cell]
        return np.where(wall, ZERO + _bulbs(_beside(grid), grid), grid).astype(np.uint8)

    def _draw(self, answer: Bytes, rng: Rng) -> Draw | None:
        """The puzzle with the numbers that it shall have, None where even all of them leave several solutions."""
        question = np.where(answer == BULB, np.uint8(FREE), answer)
        if (rating := rating_of(question)) is None:
            return None
        # A number that is needed now is needed later, when there are fewer: one pass is enough.
        walls = np.flatnonzero(question != FREE) if self.numbers == "minimal" else ()
        for cell in rng.permutation(walls).tolist():
            fewer = question.copy()
            fewer.flat[cell] = WALL
            if (rated := rating_of(fewer)) is not None:
                question, rating = fewer, rated
        family = dihedral.family(question)
        grids = question, np.where(answer == BULB, answer, question)
        lines = ["".join(CHARACTERS[value - 1] for value in grid.ravel().tolist()) for grid in grids]
        return Draw(Row("generated", lines[0], lines[1], rating), family)
