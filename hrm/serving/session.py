"""Solving one puzzle after another for a person: the answer, its drawing, and what is to be said about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.errors import UserError
from hrm.puzzles.base import Bytes, Grids, PuzzleKind
from hrm.serving.opened import OpenedModel
from hrm.serving.solve import MAX_STEPS, MAX_VOTES, Solved, rules_of, solve_puzzles, trace_puzzle
from hrm.serving.terminal import drawing


@dataclass(frozen=True)
class Solution:
    """A puzzle with its answer."""

    puzzle: PuzzleKind
    question: Bytes
    solved: Solved
    segments: list[Solved]
    """The answer after each segment, where it was asked for."""
    seconds: float

    def record(self) -> dict[str, Any]:
        """For programs; grids are texts that the puzzle's `parse` reads."""
        steps = {"trace": [self._record(one) for one in self.segments]} if self.segments else {}
        puzzle = self.puzzle.format(self.question)
        return {"puzzle": puzzle, **self._record(self.solved), "seconds": round(self.seconds, 4), **steps}

    def _record(self, solved: Solved) -> dict[str, Any]:
        answer = self.puzzle.format(solved.answer)
        return {"answer": answer, "valid": solved.valid, "confidence": solved.confidence, "steps": solved.steps}

    def text(self, *, colour: bool) -> str:
        """For people: each segment where asked for, else the answer, and a line about it."""
        lines = []
        before = self.question
        for one in self.segments:
            changed = _changed(before, one.answer)
            count = int(changed.sum())
            cells = f"{count} cell{'s' * (count != 1)} changed"
            lines.append(f"segment {one.steps}: {cells}, confidence {one.confidence:.1%}")
            if changed.any() or one.steps == 1:
                lines += [drawing(self.puzzle, one.answer, self.question, changed, colour=colour), ""]
            before = one.answer
        if not self.segments:
            none = np.zeros(self.solved.answer.shape, np.bool)
            lines.append(drawing(self.puzzle, self.solved.answer, self.question, none, colour=colour))
        lines.append(self._verdict())
        return "\n".join(lines) + "\n"

    def _verdict(self) -> str:
        solved = self.solved
        match solved.valid:
            case True:
                word = "solved"
            case False:
                grids = (Grids.of([grid], self.puzzle.canvas) for grid in (self.question, solved.answer))
                fault = self.puzzle.first_fault(*grids)
                word = f"NOT SOLVED: {fault[1] if fault else 'the answer breaks the rules'}"
            case None:
                word = "answered; no rule tells whether it is right"
        segments = f"{solved.steps} segment{'s' * (solved.steps > 1)}"
        return f"{word} (confidence {solved.confidence:.1%}, {segments}, {self.seconds:.2f} s)"


class Session:
    """A model, asked in one way."""

    def __init__(
        self, opened: OpenedModel, *, task: str | None, votes: int, rule: str, steps: int | None, trace: bool
    ) -> None:
        """Check what was asked for.

        Raises:
            UserError: naming the option.
        """
        puzzle = opened.loaded.card.puzzle
        trained = opened.loaded.card.train.halting.max_steps
        for name, value, most in (("votes", votes, MAX_VOTES), ("steps", steps, max(MAX_STEPS, trained))):
            if value is not None and not 1 <= value <= most:
                raise UserError(f"--{name} = {value}: expected a whole number from 1 to {most}")
        if rule not in (known := rules_of(puzzle)):
            raise UserError(
                f"--rule = {rule}: expected one of {', '.join(known)} for a model of the kind {puzzle.kind}"
            )
        if trace and votes > 1:
            raise UserError("--trace follows one copy of the puzzle; leave out --votes")
        if puzzle.has_puzzle_ids != (task is not None):
            wanted = "needs the task that the puzzle is of" if task is None else "knows no tasks"
            raise UserError(f"--task: a model of the kind {puzzle.kind} {wanted}")
        try:
            self._voters = opened.electorate.voters(votes, task)
        except ValueError as error:
            raise UserError(f"--task: {error}") from None
        self._loaded, self._steps, self._trace = opened.loaded, steps, trace
        self._rule = rule

    def solve(self, question: Bytes) -> Solution:
        """Solve a puzzle."""
        start = time.perf_counter()
        if self._trace:
            segments = trace_puzzle(self._loaded, question, self._voters, steps=self._steps)
            solved = segments[-1]
        else:
            segments = []
            (solved,) = solve_puzzles(self._loaded, [question], [self._voters], steps=self._steps, rule=self._rule)
        return Solution(self._loaded.card.puzzle, question, solved, segments, time.perf_counter() - start)


def _changed(before: Bytes, after: Bytes) -> NDArray[np.bool]:
    """Which cells of an answer are not what they were; all where it has another shape."""
    if before.shape != after.shape:
        return np.ones(after.shape, np.bool)
    changed: NDArray[np.bool] = before != after
    return changed
