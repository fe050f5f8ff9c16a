"""Sudokus with one solution, drawn from a seed.

A random solved grid loses givens in random order as long as it keeps a single solution.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from hrm.puzzles.base import Rng
from hrm.puzzles.held_out import Draw, write_splits
from hrm.puzzles.sudoku import Box, Sudoku
from hrm.puzzles.sudoku_orbit import canonical_form
from hrm.puzzles.sudoku_solver import Search, Solver
from hrm.puzzles.table import Row
from hrm.settings import Settings

PATIENCE = 2000
"""Attempts in a row without a usable puzzle after which the settings count as impossible."""

FEWEST_GIVENS = {4: 4, 6: 8, 8: 14, 9: 17}
"""The fewest givens that can fix a solution, by side: known from exhaustive searches."""


class SudokuGenerator(Settings):
    """Writes `train.csv` and `test.csv` with Sudokus that have one solution each.

    The rating of a puzzle is the number of wrong guesses in a complete search: 0 for one that naked and hidden singles
    solve.
    """

    kind: Literal["sudoku"] = "sudoku"
    box: Box = (3, 3)
    """Height and width of a box."""
    train: PositiveInt
    """Puzzles of the training split."""
    test: PositiveInt
    """Puzzles of the test split."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed gives the same puzzles on every machine."""
    givens: PositiveInt | Literal["minimal"] = "minimal"
    """Number of givens; `minimal`: as few as possible from where the puzzle started, so that none can be left out."""
    min_rating: Annotated[int, Field(ge=0)] = 0
    """Leave out puzzles rated below this."""
    held_out: Literal["orbits", "puzzles"] = "orbits"
    """What the splits may not share. `orbits`: no test puzzle is a symmetric image of a training puzzle. `puzzles`:
    no test puzzle equals a training puzzle. That is far less for 4 x 4 cells: the 85,632 Sudokus with minimal givens
    are images of only 36, so random symmetries in training come across most of them."""

    @model_validator(mode="after")
    def _possible(self) -> SudokuGenerator:
        side = self.box[0] * self.box[1]
        if self.givens != "minimal" and not FEWEST_GIVENS[side] <= self.givens < side**2:
            raise ValueError(
                f"givens = {self.givens} must be minimal or between {FEWEST_GIVENS[side]} and {side**2 - 1} "
                f"for box = {list(self.box)}"
            )
        return self

    def write(self, into: Path) -> None:
        """Write the two files below a folder.

        Raises:
            UserError: when there are not enough different puzzles, or they are too rare.
        """
        write_splits(into, self._draws(), train=self.train, test=self.test, patience=PATIENCE)

    def _draws(self) -> Iterator[Draw | None]:
        rng = np.random.Generator(np.random.Philox(self.seed))
        solver, puzzle = Solver(self.box), Sudoku(box=self.box)
        while True:
            answer = random_solution(solver, puzzle.side, rng)
            question = self._without_givens(solver, answer, rng)
            if question is None or (rating := solver.solve(question).dead_ends) < self.min_rating:
                yield None
                continue
            asked, solved = (np.array(digits, np.uint8).reshape(puzzle.canvas) for digits in (question, answer))
            text = puzzle.format(asked)
            family = canonical_form(self.box, asked, solved) if self.held_out == "orbits" else text.encode()
            yield Draw(Row("generated", text, puzzle.format(solved), rating), family)

    def _without_givens(self, solver: Solver, answer: list[int], rng: Rng) -> list[int] | None:
        """A puzzle with the solution `answer`, or None when it has more givens than asked for."""
        wanted = 0 if self.givens == "minimal" else self.givens
        digits, left = answer.copy(), len(answer)
        for cell in rng.permutation(len(answer)).tolist():
            if left == wanted:
                break
            # A given that is needed now is needed later, when there are fewer: one pass is enough.
            if not solver.has_other(digits, cell):
                digits[cell] = 0
                left -= 1
        return digits if self.givens == "minimal" or left == wanted else None


def random_solution(solver: Solver, side: int, rng: Rng) -> list[int]:
    """A random solved grid: the first that a search finds that tries digits in random order."""
    empty = solver.candidates([0] * side**2)
    assert empty is not None
    return next(iter(Search(solver, empty, order=lambda bits: rng.permutation(bits).tolist())))
