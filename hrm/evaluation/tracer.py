"""Makes the trace of an evaluation while it runs, in pieces that are put together in any way.

Shapes: S segments, T traced puzzles, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hrm.data.batch import IGNORED
from hrm.evaluation.predictions import pack
from hrm.evaluation.trace import Trace
from hrm.model.stream import Found
from hrm.puzzles.base import Bytes, Ints, PuzzleKind

TRACED = 32
"""Puzzles of either sort, right and wrong, whose answers are kept: more than a report draws."""


@dataclass(frozen=True)
class Traced:
    """What became of some puzzles: counts over all of them, and the answers of a few. Plain arrays, for a file."""

    counts: Ints
    """(3, S) puzzles right after each segment; those that end right, and wrong, by where the model would halt."""
    examples: Ints
    """(T,) the test examples whose answers are kept, ascending."""
    stops: Ints
    """(T,) the segment, from 1, after which the model would halt."""
    right: NDArray[np.bool_]
    """(T,) whether it ends right."""
    tokens: Bytes
    """(T, S, L)."""
    q_halt: NDArray[np.float32]
    """(T, S)."""

    @classmethod
    def of(cls, examples_T: Ints, labels_TL: NDArray[np.int32], found: Found) -> Self:
        """All that was traced, of examples in ascending order; without those whose answer nobody knows."""
        known_T = (labels_TL != IGNORED).any(axis=1)
        tokens_STL, labels_TL = found.tokens_STL[:, known_T], labels_TL[known_T]
        right_ST = ((tokens_STL == labels_TL) | (labels_TL == IGNORED)).all(axis=2)
        prefers_ST = found.prefers_ST[:, known_T]
        prefers_ST[-1] = True
        stop_T = prefers_ST.argmax(axis=0)
        of_right, of_wrong = (
            np.bincount(stop_T[end_T], minlength=len(right_ST)) for end_T in (right_ST[-1], ~right_ST[-1])
        )
        return cls(
            counts=np.stack([right_ST.sum(axis=1), of_right, of_wrong]),
            examples=examples_T[known_T].astype(np.int64),
            stops=stop_T + 1,
            right=right_ST[-1],
            tokens=tokens_STL.swapaxes(0, 1),
            q_halt=found.q_halt_ST[:, known_T].T,
        )

    def few(self, tests: int) -> Traced:
        """The same counts, and the answers of at most `TRACED` puzzles of either sort.

        Of all that end alike, those with the lowest lots are kept: spread over the test split, and always the same.

        Args:
            tests: how many test examples the dataset has.
        """
        lots_T = np.random.default_rng(0).permutation(tests)[self.examples]
        order = np.argsort(lots_T)
        kept = [order[self.right[order] == end][:TRACED] for end in (True, False)]
        rows = np.sort(np.concatenate(kept))
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return Traced(counts=self.counts, **columns)

    def plus(self, later: Traced) -> Traced:
        """Together with puzzles that come later in the test split."""
        columns = {name: np.concatenate([getattr(self, name), getattr(later, name)]) for name in COLUMNS}
        return Traced(counts=self.counts + later.counts, **columns)

    def trace(self, puzzle: PuzzleKind) -> Trace:
        """As it is kept; of at least one puzzle."""
        return Trace(
            right=self.counts[0],
            stops_right=self.counts[1],
            stops_wrong=self.counts[2],
            examples=self.examples,
            q_halt=self.q_halt,
            stops=self.stops,
            answers=pack(puzzle.decode(self.tokens.reshape(-1, self.tokens.shape[2]))),
        )


COLUMNS = tuple(item.name for item in fields(Traced) if item.name != "counts")
