"""The working folder of an evaluation: its finished pieces, until all are there.

No pipeline tool tracks it, so that none takes an interrupted evaluation away.

evaluating/identity.json      what is evaluated, and how: pieces of anything else are removed
           0-00000.npz ...    checkpoint and number of a piece
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from hrm.artifacts import held, read_json, remove, write_json, written_beside
from hrm.data.arrays import UNREADABLE, read_arrays
from hrm.errors import UserError
from hrm.evaluation.plan import Plan
from hrm.evaluation.predict import Piece
from hrm.evaluation.predictions import COLUMNS, PackedGrids, Predictions
from hrm.evaluation.tracer import Traced

_TRACED = tuple(item.name for item in fields(Traced))


class Pieces:
    """Finished pieces on the disk, which all processes see."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Name the folder; nothing is made yet."""
        self.folder, self._plan = folder, plan

    @contextmanager
    def held(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """Keep other evaluations out, and remove what is left of one with another identity; in the first process.

        Raises:
            UserError: when another evaluation is at work here.
        """
        with held(self.folder / ".lock", f"{self.folder}: another `hrm evaluate` is at work here"):
            if not self._is_of(identity):
                for file in [*self.folder.glob("*.npz"), *self.folder.glob(".*.part")]:
                    remove(file)
                write_json(self.folder / "identity.json", identity)
            yield

    def _is_of(self, identity: Mapping[str, Any]) -> bool:
        try:
            found: bool = read_json(self.folder / "identity.json") == identity
        except UserError:
            return False
        return found

    def missing(self) -> list[tuple[int, int]]:
        """Checkpoint and number of each piece that is still to be done, in order."""
        every = [(one, piece) for one in range(self._plan.checkpoints) for piece in range(self._plan.num_pieces)]
        return [key for key in every if not self._file(*key).is_file()]

    def write(self, checkpoint: int, number: int, piece: Piece) -> None:
        """Keep a piece, atomically."""
        columns = {name: getattr(piece.predictions, name) for name in COLUMNS}
        traced = {f"traced_{name}": getattr(piece.traced, name) for name in _TRACED}
        answers = piece.predictions.answers
        with written_beside(self._file(checkpoint, number)) as beside, beside.open("wb") as stream:
            np.savez(stream, **columns, **traced, cells=answers.cells, shapes=answers.shapes)

    def in_order(self) -> Iterator[Sequence[Piece]]:
        """What every checkpoint answers to each piece.

        Raises:
            UserError: when one is missing or damaged.
        """
        for number in range(self._plan.num_pieces):
            yield [self._read(checkpoint, number) for checkpoint in range(self._plan.checkpoints)]

    def clear(self) -> None:
        """Remove the folder, when its pieces have been put together."""
        remove(self.folder)

    def _read(self, checkpoint: int, number: int) -> Piece:
        file = self._file(checkpoint, number)
        try:
            arrays: dict[str, Any] = read_arrays(
                file, (*COLUMNS, "cells", "shapes", *(f"traced_{name}" for name in _TRACED))
            )
        except FileNotFoundError:
            raise UserError(f"{file}: missing; all processes of an evaluation must see the same folder") from None
        except UNREADABLE as error:
            raise UserError(f"{file}: damaged ({error}); remove it, and run the evaluate stage again") from None
        answers = PackedGrids(arrays["cells"], arrays["shapes"], self._plan.copies.dataset.puzzle.canvas)
        return Piece(
            Predictions(**{name: arrays[name] for name in COLUMNS}, answers=answers),
            Traced(**{name: arrays[f"traced_{name}"] for name in _TRACED}),
        )

    def _file(self, checkpoint: int, number: int) -> Path:
        return self.folder / f"{checkpoint}-{number:05d}.npz"
