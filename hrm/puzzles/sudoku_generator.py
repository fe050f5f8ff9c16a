"""Sudokus with one solution, drawn from a seed.

A random solved grid loses givens in random order as long as it keeps a single solution. Where a rating is asked for,
most puzzles are made in vain, so they are made many at a time (`hrm.puzzles.sudoku_hard`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from hrm.puzzles.base import Bytes, Rng
from hrm.puzzles.held_out import Draw, write_splits
from hrm.puzzles.sudoku import Box, Sudoku
from hrm.puzzles.sudoku_hard import hard_sudokus
from hrm.puzzles.sudoku_orbit import canonical_form
from hrm.puzzles.sudoku_solver import Search, Solver
from hrm.puzzles.table import Row
from hrm.settings import Seed, Settings

PATIENCE = 2000
"""Attempts in a row without a usable puzzle after which the settings count as impossible."""

HARD_PATIENCE = 20_000
"""The same where a rating is asked for: some 20 seconds for 9 x 9 cells."""

FEWEST_GIVENS = {4: 4, 6: 8, 8: 14, 9: 17}
"""The fewest givens that can fix a solution, by side: known from exhaustive searches."""


class SudokuGenerator(Settings):
    """Writes `train.csv` and `test.csv` with Sudokus that have one solution each.

    The rating of a puzzle is the number of wrong guesses in a complete search. The search fills naked and hidden
    singles until there are none, then tries each candidate of a cell with fewest (the first of them, row by row), and
    so on. A wrong guess is one whose singles end in a contradiction. 0: singles alone solve the puzzle. Sudoku-Extreme
    counts the backtracks of another solver, tdoku, which concludes more between guesses: the numbers differ.
    """

    kind: Literal["sudoku"] = "sudoku"
    box: Box = (3, 3)
    """Height and width of a box."""
    train: PositiveInt
    """Puzzles of the training split."""
    test: PositiveInt
    """Puzzles of the test split."""
    seed: Seed = 0
    """The same seed gives the same puzzles on every machine."""
    givens: PositiveInt | Literal["minimal"] = "minimal"
    """Number of givens; `minimal`: as few as possible from where the puzzle started, so that none can be left out."""
    min_rating: Annotated[int, Field(ge=0)] = 0
    """Leave out puzzles rated below this. Of the minimal 9 x 9 puzzles about 59 % are rated 1 or more, 14 % 5 or more,
    3 % 10 or more, 0.5 % 20 or more."""
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
        hard = self.min_rating > 0 and self.givens == "minimal"
        draws, patience = (self._hard_draws(), HARD_PATIENCE) if hard else (self._draws(), PATIENCE)
        write_splits(into, draws, train=self.train, test=self.test, patience=patience)

    def _hard_draws(self) -> Iterator[Draw | None]:
        for found in hard_sudokus(self.box, self.seed, self.min_rating):
            yield found and self._draw(*found)

    def _draws(self) -> Iterator[Draw | None]:
        rng = np.random.Generator(np.random.Philox(self.seed))
        solver, side = Solver(self.box), self.box[0] * self.box[1]
        while True:
            answer = random_solution(solver, side, rng)
            question = self._without_givens(solver, answer, rng)
            if question is None or (rating := solver.solve(question).dead_ends) < self.min_rating:
                yield None
            else:
                yield self._draw(np.array(question, np.uint8), np.array(answer, np.uint8), rating)

    def _draw(self, question_L: Bytes, answer_L: Bytes, rating: int) -> Draw:
        puzzle = Sudoku(box=self.box)
        question, answer = question_L.reshape(puzzle.canvas), answer_L.reshape(puzzle.canvas)
        text = puzzle.format(question)
        family = canonical_form(self.box, question, answer) if self.held_out == "orbits" else text.encode()
        return Draw(Row("generated", text, puzzle.format(answer), rating), family)

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
