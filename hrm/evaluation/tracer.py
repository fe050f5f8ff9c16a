"""Makes the trace of an evaluation while it runs.

Shapes: S segments, T traced puzzles, B copies of a batch, L tokens.
"""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hrm.data.batch import IGNORED, Batch
from hrm.data.copies import Copies
from hrm.evaluation.predictions import pack
from hrm.evaluation.trace import Trace
from hrm.model.act import Solution
from hrm.puzzles.base import Bytes, Ints

TRACED = 32
"""Puzzles of either sort, right and wrong, whose answers are kept: more than a report draws."""


class _Traced(NamedTuple):
    """One puzzle; lots are all different, so that two of them compare without looking at arrays."""

    lot: int
    example: int
    stop: int
    tokens_SL: Bytes
    q_S: NDArray[np.float32]


class Tracer:
    """Makes a trace of batches as they are solved; its memory does not grow with the number of puzzles."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        # Of all that end alike, those with the lowest lots are kept: spread over the test split, and always the same.
        self._lots = np.random.default_rng(0).permutation(len(copies.dataset.test))
        self._segments: list[Solution] = []
        self._counts: Ints = np.zeros((3, 0), np.int64)
        self._kept: dict[bool, list[_Traced]] = {True: [], False: []}

    def segment(self, solution: Solution) -> None:
        """Note a segment of the present batch: what `solve` calls."""
        self._segments.append(solution)

    def finish(self, rows: slice, batch: Batch) -> None:
        """Take in a batch whose segments have all been noted."""
        segments, self._segments = self._segments, []
        original_B = self._copies.copy_M[rows] == 0
        if not original_B.any():
            return
        on_device = torch.from_numpy(original_B).to(segments[0].tokens_BL.device)
        tokens_SBL = np.stack([one.tokens_BL[on_device].to(torch.uint8).cpu().numpy() for one in segments])
        q_SB = np.stack([one.q_halt_B[on_device].float().cpu().numpy() for one in segments])
        prefers_SB = np.stack([one.prefers_B[on_device].cpu().numpy() for one in segments])

        labels_BL = batch.labels[original_B]
        right_SB = ((tokens_SBL == labels_BL) | (labels_BL == IGNORED)).all(axis=2)
        prefers_SB[-1] = True
        stop_B = prefers_SB.argmax(axis=0)
        self._count(right_SB, stop_B)
        for place, example in enumerate(self._copies.example_M[rows][original_B].tolist()):
            lot, stop = -int(self._lots[example]), int(stop_B[place]) + 1
            entry = _Traced(lot, example, stop, tokens_SBL[:, place].copy(), q_SB[:, place].copy())
            kept = self._kept[bool(right_SB[-1, place])]
            if len(kept) < TRACED:
                heappush(kept, entry)
            else:
                heappushpop(kept, entry)

    def _count(self, right_SB: NDArray[np.bool_], stop_B: Ints) -> None:
        of_right, of_wrong = (
            np.bincount(stop_B[end], minlength=len(right_SB)) for end in (right_SB[-1], ~right_SB[-1])
        )
        counts = np.stack([right_SB.sum(axis=1), of_right, of_wrong])
        self._counts = counts if not self._counts.size else self._counts + counts

    def trace(self) -> Trace:
        """The trace of all batches taken in; at least one."""
        kept = sorted(self._kept[True] + self._kept[False], key=lambda entry: entry.example)
        tokens_TSL = np.stack([entry.tokens_SL for entry in kept])
        return Trace(
            right=self._counts[0],
            stops_right=self._counts[1],
            stops_wrong=self._counts[2],
            examples=np.array([entry.example for entry in kept]),
            q_halt=np.stack([entry.q_S for entry in kept]),
            stops=np.array([entry.stop for entry in kept]),
            answers=pack(self._copies.dataset.puzzle.decode(tokens_TSL.reshape(-1, tokens_TSL.shape[2]))),
        )
