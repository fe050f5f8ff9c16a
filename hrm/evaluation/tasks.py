"""Each task by itself, by both scoring rules: the published one, and that of the ARC Prize.

Shapes: E test examples that were answered, T tasks.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.data.new_tasks import known_answers
from hrm.evaluation.score import ARC_PRIZE_ATTEMPTS, solved_shares
from hrm.evaluation.vote import UNSEEN, Ranking
from hrm.puzzles.base import Ints


@dataclass(frozen=True)
class Tasks:
    """What became of each task."""

    names: list[str]
    """(T,)"""
    test_inputs_T: Ints
    """(T,) how many test inputs it has."""
    pass_ranks_T: Ints
    """(T,) the smallest K of a pass@K that counts it, from 0: its worst true answer's rank; `UNSEEN` for none."""
    arc_prize_T: NDArray[np.float64]
    """(T,) the share of its test inputs solved in two attempts."""

    @classmethod
    def of(cls, ranking: Ranking, dataset: Dataset) -> Tasks:
        """The tasks that were answered and whose outputs are known, in the dataset's order."""
        known_E = known_answers(dataset)[ranking.examples]
        groups_E, ranks_E = dataset.test.groups[ranking.examples][known_E], ranking.truth_ranks[known_E]
        groups_T, first_T, count_T = np.unique(groups_E, return_index=True, return_counts=True)
        return cls(
            names=[dataset.names[int(group)] for group in groups_T],
            test_inputs_T=count_T,
            pass_ranks_T=np.maximum.reduceat(ranks_E, first_T),
            arc_prize_T=solved_shares(ARC_PRIZE_ATTEMPTS, ranks_E, groups_E),
        )

    def rows(self) -> list[tuple[str, int, str, float]]:
        """For each its name, its test inputs, the K from which pass@K counts it (empty for none), and its share."""
        ks = ["" if rank == UNSEEN else str(rank + 1) for rank in self.pass_ranks_T.tolist()]
        return list(zip(self.names, self.test_inputs_T.tolist(), ks, self.arc_prize_T.tolist(), strict=True))

    def csv(self) -> str:
        """All of it as a table."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")  # a task's name may hold a comma
        writer.writerow(["task", "test_inputs", "pass_from_k", "arc_prize"])
        writer.writerows([name, inputs, k, f"{share:.6g}"] for name, inputs, k, share in self.rows())
        return text.getvalue()
