"""Predictions that come in pieces of any size, written as parts of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrm.evaluation.predictions import COLUMNS, PART, PackedGrids, Predictions, write_part


class Parts:
    """Writes parts into a folder; holds no more than one of them and a piece."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._pending: list[Predictions] = []

    def add(self, piece: Predictions) -> None:
        """Take in the predictions that come next."""
        self._pending.append(piece)
        while (count := sum(map(len, self._pending))) >= PART:
            together = joined(self._pending)
            self._write(together.take(np.arange(PART)))
            self._pending = [together.take(np.arange(PART, count))]

    def finish(self) -> None:
        """Write what is left."""
        if rest := joined(self._pending):
            self._write(rest)

    def _write(self, part: Predictions) -> None:
        write_part(self._folder, self._number, part)
        self._number += 1


def joined(pieces: Sequence[Predictions]) -> Predictions:
    """Predictions one after another as one; at least one piece."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in COLUMNS}
    answers = PackedGrids(
        np.concatenate([piece.answers.cells for piece in pieces]),
        np.concatenate([piece.answers.shapes for piece in pieces]),
        pieces[0].answers.canvas,
    )
    return Predictions(**columns, answers=answers)


def interleaved(pieces: Sequence[Predictions]) -> Predictions:
    """The first row of each, then the second row of each, and so on; all of the same length."""
    if len(pieces) == 1:
        return pieces[0]
    rows = np.arange(len(pieces) * len(pieces[0])).reshape(len(pieces), -1)
    return joined(pieces).take(rows.T.ravel())
