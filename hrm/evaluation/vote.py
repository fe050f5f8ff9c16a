"""Voting: the answers to a puzzle's symmetric copies are mapped back and counted.

The rule is the published one (the ARC evaluation notebook of the release), for every kind of puzzle: candidates are
ranked by (number of votes, mean of sigmoid(q_halt)), descending; candidates equal in both keep the order in which they
were first seen.

Shapes: M predictions, E test examples voted on, T kept candidates, C candidates of a chunk, K bytes of a symmetry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm.evaluation.predictions import PackedGrids
from hrm.puzzles.base import Bytes, Grids, Ints, PuzzleKind

UNSEEN = int(np.iinfo(np.int64).max)
"""The rank of a true answer that no copy gave: worse than any."""

# Rows unpacked to canvases at a time: about 15 MB for ARC.
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Ranking:
    """Ranked answers for each test example that has predictions."""

    examples: Ints
    """(E,) index into the test examples, ascending."""
    truth_ranks: Ints
    """(E,) rank of the true answer, 0 the first; `UNSEEN` when no copy gave it."""
    num_candidates: Ints
    """(E,) how many different answers there were."""
    num_votes: Ints
    """(E,) how many copies voted."""
    starts: Ints
    """(E + 1,) where the kept candidates of each example start."""
    answers: Grids
    """(T,) the kept candidates, best first within an example, as answers to the original question."""
    votes: Ints
    """(T,) votes of each kept candidate."""
    confidences: NDArray[np.float64]
    """(T,) mean of sigmoid(q_halt) over a candidate's votes."""

    def __len__(self) -> int:
        return len(self.examples)

    def kept(self, row: int) -> range:
        """The kept candidates of one example, best first, as rows of `answers`, `votes` and `confidences`."""
        return range(int(self.starts[row]), int(self.starts[row + 1]))


def vote(
    puzzle: PuzzleKind,
    truths: Grids,
    answers: PackedGrids,
    examples_M: NDArray[np.int32],
    symmetries_MK: Bytes,
    q_halt_M: NDArray[np.float32],
    *,
    keep: int = 10,
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
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(examples_M)) + 1, [len(examples_M)]]).astype(np.int64)
    # Multiples of 2^-32 add up exactly, so equal candidates tie whatever order their votes come in.
    confidence_M = np.round((0.5 + 0.5 * np.tanh(q_halt_M.astype(np.float64) / 2)) * 2.0**32) / 2.0**32
    chunks = []
    for first, last in _chunks(starts):
        rows = slice(int(starts[first]), int(starts[last]))
        back = puzzle.transform(answers.unpack(rows), puzzle.inverse(symmetries_MK[rows]))
        examples = examples_M[starts[first:last]].astype(np.int64)
        owner = np.repeat(np.arange(last - first), np.diff(starts[first : last + 1]))
        chunks.append(_count(back, owner, confidence_M[rows], examples, truths.take(examples), keep))
    return _joined(chunks)


def _chunks(starts: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of whole examples, of about `_CHUNK` rows each or of one example that has more."""
    first, end = 0, len(starts) - 1
    while first < end:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _CHUNK, side="right")) - 1)
        yield first, last
        first = last


def _count(
    answers: Grids, owner: Ints, confidence: NDArray[np.float64], examples: Ints, truths: Grids, keep: int
) -> Ranking:
    """Rank the answers of a chunk; `owner` says which of `examples` each belongs to, ascending."""
    # A dict hands out candidate numbers in the order first seen, and compares whole grids: no hash can collide.
    seen: dict[bytes, int] = {}
    candidates = np.array([seen.setdefault(key, len(seen)) for key in _keys(answers, owner)], np.int64)
    _, first_rows = np.unique(candidates, return_index=True)
    votes = np.bincount(candidates)
    confidences = np.bincount(candidates, weights=confidence) / votes

    # The sort is stable: what is equal in votes and confidence stays in the order first seen.
    order = np.lexsort((-confidences, -votes, owner[first_rows]))
    num_candidates = np.bincount(owner[first_rows], minlength=len(examples))
    ends = np.cumsum(num_candidates)
    rank_in_order = np.arange(len(order)) - np.repeat(ends - num_candidates, num_candidates)
    # One more entry for the true answers that nobody gave, at the index -1.
    ranks = np.full(len(order) + 1, UNSEEN, np.int64)
    ranks[order] = rank_in_order
    truth_keys = _keys(truths, np.arange(len(examples)))

    kept = order[rank_in_order < keep]
    return Ranking(
        examples=examples,
        truth_ranks=ranks[[seen.get(key, -1) for key in truth_keys]],
        num_candidates=num_candidates,
        num_votes=np.bincount(owner, minlength=len(examples)),
        starts=np.concatenate([[0], np.cumsum(np.minimum(num_candidates, keep))]),
        answers=answers.take(first_rows[kept]),
        votes=votes[kept],
        confidences=confidences[kept],
    )


def _keys(grids: Grids, owner: Ints) -> list[bytes]:
    """For each grid bytes that are equal where owner, shape and all cells are equal."""
    count = len(grids)
    owners = np.ascontiguousarray(owner, np.int64).view(np.uint8).reshape(count, 8)
    keys = np.concatenate([owners, grids.shapes, grids.cells.reshape(count, -1)], axis=1)
    keys_list: list[bytes] = keys.view(f"V{keys.shape[1]}").ravel().tolist()
    return keys_list


def _joined(chunks: list[Ranking]) -> Ranking:
    """The rankings of consecutive chunks as one."""
    sizes = np.concatenate([np.diff(chunk.starts) for chunk in chunks])
    return Ranking(
        examples=np.concatenate([chunk.examples for chunk in chunks]),
        truth_ranks=np.concatenate([chunk.truth_ranks for chunk in chunks]),
        num_candidates=np.concatenate([chunk.num_candidates for chunk in chunks]),
        num_votes=np.concatenate([chunk.num_votes for chunk in chunks]),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        answers=Grids(
            np.concatenate([chunk.answers.cells for chunk in chunks]),
            np.concatenate([chunk.answers.shapes for chunk in chunks]),
        ),
        votes=np.concatenate([chunk.votes for chunk in chunks]),
        confidences=np.concatenate([chunk.confidences for chunk in chunks]),
    )
