"""The different answers to each test puzzle: its copies' answers mapped back, and equal ones made one candidate.

Shapes: M predictions, each one vote; E test examples voted on; C candidates; K bytes of a symmetry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.evaluation.predictions import PackedGrids, Predictions
from hrm.puzzles.base import Bytes, Grids, Ints, PuzzleKind

# Rows unpacked to canvases at a time: about 15 MB for ARC.
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Candidates:
    """Who voted for what. Candidates are numbered in the order in which they were first seen."""

    examples: Ints
    """(E,) index into the test examples, ascending."""
    votes: Ints
    """(M,) the candidate that each prediction votes for."""
    owners: Ints
    """(C,) which of `examples` each candidate answers, ascending."""
    first: Ints
    """(C,) the first prediction that votes for each."""
    truths: Ints
    """(E,) the candidate that is the true answer; -1 when nobody gave it."""
    valid: NDArray[np.bool_] | None
    """(C,) which obey the rules of the puzzle; None when not asked for, or where only the true answer can tell."""

    def __len__(self) -> int:
        return len(self.owners)

    def where(self, keep_M: NDArray[np.bool_]) -> Candidates:
        """The candidates of some votes only; every example keeps at least one."""
        old, first, place_M = np.unique(self.votes[keep_M], return_index=True, return_inverse=True)
        order = np.argsort(first)
        old, first = old[order], first[order]
        # One more entry for the true answers that nobody gave, at the index -1.
        renumbered = np.full(len(self) + 1, -1, np.int64)
        renumbered[old] = np.arange(len(old))
        return Candidates(
            self.examples,
            np.argsort(order)[place_M],
            self.owners[old],
            first,
            renumbered[self.truths],
            None if self.valid is None else self.valid[old],
        )


def candidates_of(
    puzzle: PuzzleKind,
    truths: Grids,
    answers: PackedGrids,
    examples_M: NDArray[np.int32],
    symmetries_MK: Bytes,
    questions: Grids | None = None,
) -> Candidates:
    """Find the candidates.

    Args:
        puzzle: the kind of puzzle, which maps answers back.
        truths: the true answers of all test examples.
        answers: the M answers to the copies.
        examples_M: the test example of each, ascending.
        symmetries_MK: the symmetry that made each copy.
        questions: those of all test examples, when `valid` is asked for.
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(examples_M)) + 1, [len(examples_M)]]).astype(np.int64)
    examples = examples_M[starts[:-1]].astype(np.int64)
    owner_M = np.repeat(np.arange(len(examples)), np.diff(starts))
    votes, truth_of = np.empty(len(examples_M), np.int64), np.empty(len(examples), np.int64)
    first, valid, count = [], [], 0
    for rows, some in _chunks(starts):
        back = mapped_back(puzzle, answers.unpack(rows), symmetries_MK[rows])
        # A dict hands out numbers in the order first seen, and compares whole grids: no hash can collide.
        seen: dict[bytes, int] = {}
        votes[rows] = [seen.setdefault(key, len(seen)) for key in _keys(back, owner_M[rows])]
        keys = _keys(truths.take(examples[some]), np.arange(some.start, some.stop))
        truth_of[some] = [seen.get(key, -1 - count) + count for key in keys]
        _, first_rows = np.unique(votes[rows], return_index=True)
        if questions is not None:
            asked = questions.take(examples[owner_M[rows][first_rows]])
            valid.append(puzzle.are_valid(asked, back.take(first_rows)))
        votes[rows] += count
        first.append(first_rows + rows.start)
        count += len(seen)
    firsts = np.concatenate(first)
    judged = [verdicts for verdicts in valid if verdicts is not None]
    return Candidates(examples, votes, owner_M[firsts], firsts, truth_of, np.concatenate(judged) if judged else None)


def candidates_in(predictions: Predictions, dataset: Dataset) -> Candidates:
    """The candidates for a dataset's test puzzles, and where rules can tell, which of them are valid."""
    return candidates_of(
        dataset.puzzle,
        dataset.test.answers,
        predictions.answers,
        predictions.examples,
        predictions.symmetries,
        dataset.test.questions,
    )


def mapped_back(puzzle: PuzzleKind, answers: Grids, symmetries_NK: Bytes) -> Grids:
    """Answers to copies as answers to the originals."""
    return puzzle.transform(answers, puzzle.inverse(symmetries_NK))


def _chunks(starts: Ints) -> Iterator[tuple[slice, slice]]:
    """Rows of votes and the examples they are of: about `_CHUNK` rows each, or one example that has more."""
    first, end = 0, len(starts) - 1
    while first < end:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _CHUNK, side="right")) - 1)
        yield slice(int(starts[first]), int(starts[last])), slice(first, last)
        first = last


def _keys(grids: Grids, owner: Ints) -> list[bytes]:
    """For each grid bytes that are equal where owner, shape and all cells are equal."""
    count = len(grids)
    owners = np.ascontiguousarray(owner, np.int64).view(np.uint8).reshape(count, 8)
    keys = np.concatenate([owners, grids.shapes, grids.cells.reshape(count, -1)], axis=1)
    keys_list: list[bytes] = keys.view(f"V{keys.shape[1]}").ravel().tolist()
    return keys_list
