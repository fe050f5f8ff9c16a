"""Voting: of the answers to a puzzle, the best one.

The rule `votes` is the published one (the ARC evaluation notebook of the release), for every kind of puzzle: candidates
are ranked by (number of votes, mean of sigmoid(q_halt)), descending; candidates equal in both keep the order in which
they were first seen. The other rules look at something else first, and at these two where that ties:

- `weighted`: the sum of sigmoid(q_halt) over a candidate's votes;
- `confidence`: the highest q_halt of them;
- `valid`: whether the candidate obeys the rules of the puzzle, which needs no true answer.

Shapes: M predictions, E test examples voted on, T kept candidates, C candidates, K bytes of a symmetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.config.vote import Rule
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation.candidates import Candidates, candidates_of, mapped_back
from hrm.evaluation.predictions import PackedGrids, Predictions
from hrm.puzzles.base import Bytes, Grids, Ints, PuzzleKind

UNSEEN = int(np.iinfo(np.int64).max)
"""The rank of a true answer that nobody gave: worse than any."""
RANKED: Mapping[Rule, str] = {
    "votes": "by votes, then by the model's own confidence",
    "weighted": "by the sum of the model's own confidence in their votes",
    "confidence": "by the highest of the model's own confidence in their votes",
    "valid": "by whether they obey the rules, then by votes",
}
"""By what each rule ranks candidates, in words."""


@dataclass(frozen=True)
class Ranking:
    """Ranked answers for each test example that has predictions."""

    examples: Ints
    """(E,) index into the test examples, ascending."""
    truth_ranks: Ints
    """(E,) rank of the true answer, 0 the first; `UNSEEN` when nobody gave it."""
    num_candidates: Ints
    """(E,) how many different answers there were."""
    num_votes: Ints
    """(E,) how many answers voted."""
    starts: Ints
    """(E + 1,) where the kept candidates of each example start."""
    answers: Grids
    """(T,) the kept candidates, best first within an example, as answers to the original question."""
    votes: Ints
    """(T,) votes of each kept candidate."""
    confidences: NDArray[np.float64]
    """(T,) mean of sigmoid(q_halt) over a candidate's votes."""
    rule: Rule
    """What they are ranked by."""

    def __len__(self) -> int:
        return len(self.examples)

    def kept(self, row: int) -> range:
        """The kept candidates of one example, best first, as rows of `answers`, `votes` and `confidences`."""
        return range(int(self.starts[row]), int(self.starts[row + 1]))


@dataclass(frozen=True)
class Standing:
    """How the candidates stand under a rule."""

    votes: Ints
    """(C,) votes of each."""
    confidences: NDArray[np.float64]
    """(C,) mean of sigmoid(q_halt) over its votes."""
    order: Ints
    """(C,) the candidates by example, the best of each first."""
    ranks: Ints
    """(C,) the rank of each among those of its example, 0 the first."""

    def truth_ranks(self, candidates: Candidates) -> Ints:
        """(E,) the rank of each true answer; `UNSEEN` when nobody gave it."""
        return np.append(self.ranks, UNSEEN)[candidates.truths]


def vote(
    puzzle: PuzzleKind,
    truths: Grids,
    answers: PackedGrids,
    examples_M: NDArray[np.int32],
    symmetries_MK: Bytes,
    q_halt_M: NDArray[np.float32],
    *,
    keep: int = 10,
    rule: Rule = "votes",
    questions: Grids | None = None,
) -> Ranking:
    """Rank the answers to each test example.

    Args:
        puzzle: the kind of puzzle, which maps answers back.
        truths: the true answers of all test examples.
        answers: the M answers to the copies.
        examples_M: the test example of each, ascending.
        symmetries_MK: the symmetry that made each copy.
        q_halt_M: the halting logit of each.
        keep: how many candidates of each example are kept; ranks always count all of them.
        rule: what ranks them.
        questions: those of all test examples, which the rule `valid` needs.

    Raises:
        UserError: for the rule `valid`, when only the true answer can tell whether an answer is right.
    """
    asked = questions if rule == "valid" else None
    candidates = candidates_of(puzzle, truths, answers, examples_M, symmetries_MK, asked)
    return ranked(puzzle, candidates, answers, symmetries_MK, q_halt_M, keep=keep, rule=rule)


def ranked(
    puzzle: PuzzleKind,
    candidates: Candidates,
    answers: PackedGrids,
    symmetries_MK: Bytes,
    q_halt_M: NDArray[np.float32],
    *,
    keep: int = 10,
    rule: Rule = "votes",
) -> Ranking:
    """The same for candidates that are found already; for the rule `valid` with the verdicts on them."""
    if rule == "valid" and candidates.valid is None:
        raise UserError(
            f"vote.rule = valid: no rule tells whether an answer to {puzzle.title} is right; use votes, weighted or "
            "confidence"
        )
    standing = standing_of(candidates, q_halt_M, rule)
    num_candidates = np.bincount(candidates.owners, minlength=len(candidates.examples))
    kept = standing.order[standing.ranks[standing.order] < keep]
    rows = candidates.first[kept]
    return Ranking(
        examples=candidates.examples,
        truth_ranks=standing.truth_ranks(candidates),
        num_candidates=num_candidates,
        num_votes=np.bincount(candidates.owners[candidates.votes], minlength=len(candidates.examples)),
        starts=np.concatenate([[0], np.cumsum(np.minimum(num_candidates, keep))]),
        answers=mapped_back(puzzle, answers.take(rows).unpack(slice(None)), symmetries_MK[rows]),
        votes=standing.votes[kept],
        confidences=standing.confidences[kept],
        rule=rule,
    )


def ranked_in(predictions: Predictions, candidates: Candidates, dataset: Dataset, rule: Rule) -> Ranking:
    """The same for predictions on a dataset."""
    columns = predictions.answers, predictions.symmetries, predictions.q_halt
    return ranked(dataset.puzzle, candidates, *columns, rule=rule)


def standing_of(candidates: Candidates, q_halt_M: NDArray[np.float32], rule: Rule) -> Standing:
    """Rank candidates by a rule; for `valid`, whether they are is known."""
    # Multiples of 2^-32 add up exactly, so equal candidates tie whatever order their votes come in.
    confidence_M = np.round((0.5 + 0.5 * np.tanh(q_halt_M.astype(np.float64) / 2)) * 2.0**32) / 2.0**32
    votes = np.bincount(candidates.votes)
    total = np.bincount(candidates.votes, weights=confidence_M)
    keys = [votes, total / votes]
    if rule == "weighted":
        keys.insert(0, total)
    elif rule == "confidence":
        highest = np.full(len(candidates), -np.inf)
        np.maximum.at(highest, candidates.votes, q_halt_M)
        keys.insert(0, highest)
    elif rule == "valid":
        assert candidates.valid is not None
        keys.insert(0, candidates.valid.astype(np.int64))
    # The sort is stable: what is equal in all keys stays in the order first seen.
    order = np.lexsort((*(-key for key in reversed(keys)), candidates.owners))
    ranks = np.empty(len(order), np.int64)
    # Sorted by example as the candidates are, so that those of an example fill the same places.
    ranks[order] = np.arange(len(order)) - np.searchsorted(candidates.owners, candidates.owners)
    return Standing(votes, total / votes, order, ranks)
