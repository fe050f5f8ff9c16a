"""Answers made up by a test, as a model would have given them to copies of the test puzzles."""

from dataclasses import dataclass

import numpy as np

from hrm.data.copies import Copies, symmetric_copies
from hrm.data.dataset import Dataset
from hrm.evaluation.candidates import Candidates, candidates_in
from hrm.evaluation.predictions import Predictions, pack
from hrm.evaluation.vote import Ranking, vote
from hrm.puzzles.base import Grids


@dataclass(frozen=True)
class Answered:
    """Copies of test puzzles, and what a model would answer to each."""

    dataset: Dataset
    copies: Copies

    def predictions(self, right_M: list[bool], q_halt_M: list[float] | None = None) -> Predictions:
        """The true answer where `right_M`, else one with its first cell changed."""
        puzzle = self.dataset.puzzle
        truths = self.dataset.test.answers.take(self.copies.example_M)
        cells = truths.cells.copy()
        wrong = ~np.array(right_M)
        cells[wrong, 0, 0] = 1 + cells[wrong, 0, 0] % 4
        answers = puzzle.transform(Grids(cells, truths.shapes), self.copies.symmetries_MK)
        sizes = truths.shapes.astype(np.int32).prod(axis=1, dtype=np.int32)
        return Predictions(
            examples=self.copies.example_M.astype(np.int32),
            copies=self.copies.copy_M.astype(np.int32),
            starts=np.zeros(len(right_M), np.int32),
            checkpoints=np.zeros(len(right_M), np.int32),
            puzzle_ids=self.copies.puzzle_ids_M,
            symmetries=self.copies.symmetries_MK,
            answers=pack(answers),
            q_halt=np.array(q_halt_M or [0.0] * len(right_M), np.float32),
            steps=np.full(len(right_M), 2, np.int32),
            correct_tokens=sizes - wrong,
            labelled_tokens=sizes,
        )

    def candidates(self, right_M: list[bool]) -> Candidates:
        """The different answers."""
        return candidates_in(self.predictions(right_M), self.dataset)

    def ranking(self, right_M: list[bool], q_halt_M: list[float] | None = None) -> Ranking:
        predictions = self.predictions(right_M, q_halt_M)
        return vote(
            self.dataset.puzzle,
            self.dataset.test.answers,
            predictions.answers,
            predictions.examples,
            predictions.symmetries,
            predictions.q_halt,
        )


def answered(dataset: Dataset, *, copies: int | None = 2) -> Answered:
    """The test puzzles of a dataset, some copies of each."""
    return Answered(dataset, symmetric_copies(dataset, copies=copies, max_puzzles=None, seed=0))
