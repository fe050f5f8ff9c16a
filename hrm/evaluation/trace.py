"""How answers come about, segment by segment: counts over all test puzzles, and the answers themselves of a few.

It is kept beside the predictions in one file, whose size the number of puzzles does not change: the answers are those
of a few that end right and a few that end wrong. Originals only, no symmetric copies, and the newest checkpoint's
answers; a puzzle that has halted keeps its own.

Shapes: S segments, T traced puzzles.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hrm.data.arrays import UNREADABLE, read_arrays
from hrm.errors import UserError
from hrm.evaluation.predictions import PackedGrids
from hrm.puzzles.base import Grids, Ints

FILE = "trace.npz"


@dataclass(frozen=True)
class Trace:
    """What became of the test puzzles after each segment."""

    right: Ints
    """(S,) how many puzzles have every labelled token right after each segment."""
    stops_right: Ints
    """(S,) puzzles that end right by the segment after which the model would halt in training."""
    stops_wrong: Ints
    """(S,) those that end wrong."""
    examples: Ints
    """(T,) the traced test examples, ascending."""
    q_halt: NDArray[np.float32]
    """(T, S) logit of "this answer is right"."""
    stops: Ints
    """(T,) the segment, from 1, after which the model would halt in training."""
    answers: PackedGrids
    """The T * S answers, those of one puzzle one after another."""

    @property
    def segments(self) -> int:
        """How many segments each puzzle took, or could have taken."""
        return len(self.right)

    @property
    def count(self) -> int:
        """How many puzzles were counted."""
        return int(self.stops_right.sum() + self.stops_wrong.sum())

    def work(self, *, halted: bool) -> NDArray[np.float64]:
        """(S,) segments run for a puzzle by then, on average; none after the model would halt where it `halted`."""
        ended_S = np.cumsum(self.stops_right + self.stops_wrong) if halted else np.zeros(self.segments)
        at_work_S = self.count - np.concatenate([[0.0], ended_S[:-1]])
        work_S: NDArray[np.float64] = np.cumsum(at_work_S) / self.count
        return work_S

    def of(self, place: int) -> Grids:
        """The S answers to one traced puzzle, by its place among them."""
        return self.answers.unpack(slice(place * self.segments, (place + 1) * self.segments))


COLUMNS = tuple(item.name for item in fields(Trace) if item.name != "answers")


def write_trace(folder: Path, trace: Trace) -> None:
    """Write a trace into the folder of the predictions."""
    columns = {name: getattr(trace, name) for name in COLUMNS}
    np.savez_compressed(folder / FILE, **columns, cells=trace.answers.cells, shapes=trace.answers.shapes)


def open_trace(folder: Path, canvas: tuple[int, int]) -> Trace | None:
    """Read the trace beside predictions, which an evaluation by an earlier version did not write: then there is none.

    Args:
        folder: the predictions.
        canvas: of the puzzles.

    Raises:
        UserError: when it is damaged.
    """
    file = folder / FILE
    if not file.exists():
        return None
    try:
        columns = read_arrays(file, (*COLUMNS, "cells", "shapes"))
        answers = PackedGrids(columns.pop("cells"), columns.pop("shapes"), canvas)
        trace = Trace(**columns, answers=answers)
    except UNREADABLE as error:
        raise UserError(f"{file}: damaged ({error}); run the evaluate stage again") from None
    if (
        len(trace.answers) != trace.segments * len(trace.examples)
        or len(trace.answers.cells) != trace.answers.starts[-1]
    ):
        raise UserError(f"{file}: damaged (answers are missing); run the evaluate stage again")
    return trace
