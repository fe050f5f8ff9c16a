"""The predictions artifact: what is kept of each answer, and how it lies on disk.

A folder with `predictions.json` (format, dataset digest, how it was made) and parts of at most `PART` rows each, so
that writing takes constant memory. No logits and no canvases: a grid of 3 x 3 takes nine bytes before compression.
Beside them, `trace.npz` tells how answers came about (`hrm.evaluation.trace`).

Shapes: M predictions, K bytes of a symmetry, H and W the canvas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_json, write_json
from hrm.data.arrays import UNREADABLE, read_arrays
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.puzzles.base import Bytes, Grids, Ints

FORMAT = 2
PART = 1 << 14
Column = NDArray[Any]


@dataclass(frozen=True)
class PackedGrids:
    """Grids one after another without the empty rest of their canvas."""

    cells: Bytes
    """(sum of heights x widths,) the cells of all grids, row by row."""
    shapes: Bytes
    """(N, 2) height and width of each grid."""
    canvas: tuple[int, int]
    """Height and width of the canvas that the grids unpack to."""

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def starts(self) -> Ints:
        """(N + 1,) where each grid's cells start."""
        return np.concatenate([[0], np.cumsum(self.shapes.astype(np.int64).prod(axis=1))])

    def unpack(self, rows: slice) -> Grids:
        """The grids of consecutive rows, each at the top left of a canvas."""
        start, stop, _ = rows.indices(len(self))
        shapes = self.shapes[start:stop]
        cells = np.zeros((len(shapes), *self.canvas), np.uint8)
        cells[_inside(shapes, self.canvas)] = self.cells[self.starts[start] : self.starts[stop]]
        return Grids(cells, shapes)

    def take(self, rows_N: Ints) -> PackedGrids:
        """Some of the grids, in that order."""
        sizes_N = np.diff(self.starts)[rows_N]
        ends_N = np.cumsum(sizes_N)
        # The cells of a grid follow one another, from where they start here instead of there.
        moved_N = self.starts[rows_N] - (ends_N - sizes_N)
        cells = np.arange(sizes_N.sum()) + np.repeat(moved_N, sizes_N)
        return PackedGrids(self.cells[cells], self.shapes[rows_N], self.canvas)


def pack(grids: Grids) -> PackedGrids:
    """Grids without the empty rest of their canvas."""
    canvas = (grids.cells.shape[1], grids.cells.shape[2])
    return PackedGrids(grids.cells[_inside(grids.shapes, canvas)], grids.shapes.astype(np.uint8), canvas)


def _inside(shapes: Bytes, canvas: tuple[int, int]) -> NDArray[np.bool_]:
    """(N, H, W) which cells of the canvas belong to each grid."""
    rows_NH = np.arange(canvas[0]) < shapes[:, :1]
    columns_NW = np.arange(canvas[1]) < shapes[:, 1:]
    inside: NDArray[np.bool_] = rows_NH[:, :, None] & columns_NW[:, None, :]
    return inside


@dataclass(frozen=True)
class Predictions:
    """One answer for each start and checkpoint on each copy of each test puzzle, in the order of these columns."""

    examples: NDArray[np.int32]
    """(M,) index into the test examples."""
    copies: NDArray[np.int32]
    """(M,) which copy of the example; 0 is the original."""
    starts: NDArray[np.int32]
    """(M,) which state it was begun from; 0 is the model's own."""
    checkpoints: NDArray[np.int32]
    """(M,) which checkpoint answered; 0 is the newest."""
    puzzle_ids: NDArray[np.int32]
    """(M,) the puzzle id the model was given."""
    symmetries: Bytes
    """(M, K) the symmetry that made the copy of the original."""
    answers: PackedGrids
    """The answers, cut from the canvas, not mapped back from their copies."""
    q_halt: NDArray[np.float32]
    """(M,) logit of "this answer is right"."""
    steps: NDArray[np.int32]
    """(M,) segments taken."""
    correct_tokens: NDArray[np.int32]
    """(M,) labelled tokens that are right."""
    labelled_tokens: NDArray[np.int32]
    """(M,) tokens with a label."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """How they were made: `dataset_digest`, `checkpoint_step` of the newest, `checkpoint_steps`, `settings`."""

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def exact(self) -> NDArray[np.bool_]:
        """(M,) whether every labelled token is right."""
        exact: NDArray[np.bool_] = self.correct_tokens == self.labelled_tokens
        return exact

    @property
    def original(self) -> NDArray[np.bool_]:
        """(M,) one prediction of each puzzle: of itself, from the model's own start, by the newest checkpoint."""
        original: NDArray[np.bool_] = (self.copies == 0) & (self.starts == 0) & (self.checkpoints == 0)
        return original

    def halted(self, segments: int) -> bool:
        """Whether some puzzle itself was done before it had run so many segments."""
        return bool((self.steps[self.original] < segments).any())

    def first_copies(self, most: int | None) -> Predictions:
        """Those of the first copies of each puzzle; all of them for None."""
        return self if most is None else self.where(self.copies < most)

    def where(self, keep_M: NDArray[np.bool_]) -> Predictions:
        """Some of the predictions only."""
        of_cells = np.repeat(keep_M, np.diff(self.answers.starts))
        answers = PackedGrids(self.answers.cells[of_cells], self.answers.shapes[keep_M], self.answers.canvas)
        columns = {name: getattr(self, name)[keep_M] for name in COLUMNS}
        return Predictions(**columns, answers=answers, about=self.about)

    def take(self, rows_N: Ints) -> Predictions:
        """Some of the predictions, in that order."""
        columns = {name: getattr(self, name)[rows_N] for name in COLUMNS}
        return Predictions(**columns, answers=self.answers.take(rows_N), about=self.about)


COLUMNS = tuple(item.name for item in fields(Predictions) if item.name not in ("answers", "about"))


def write_part(folder: Path, number: int, part: Predictions) -> None:
    """Write consecutive predictions as the part of that number, counted from 0."""
    columns = {name: getattr(part, name) for name in COLUMNS}
    np.savez_compressed(_part(folder, number), **columns, cells=part.answers.cells, shapes=part.answers.shapes)


def write_about(folder: Path, about: Mapping[str, Any], count: int) -> None:
    """Write the artifact's description, after its parts: a folder that has it is complete."""
    write_json(folder / "predictions.json", {"format": FORMAT, "count": count, **about})


def open_predictions(path: Path, dataset: Dataset) -> Predictions:
    """Read a predictions artifact.

    Args:
        path: its folder.
        dataset: the dataset whose test examples were predicted.

    Raises:
        UserError: when there is none, or it was written in another format or for another dataset.
    """
    if not (path / "predictions.json").is_file():
        raise UserError(f"{path}: no predictions here; run the evaluate stage first")
    about = read_json(path / "predictions.json")
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else None
        raise UserError(f"{path}: predictions of format {found}, expected {FORMAT}; run the evaluate stage again")
    if about.get("dataset_digest") != dataset.digest:
        raise UserError(f"{path}: predictions for another dataset than {dataset.path}; run the evaluate stage again")
    if not isinstance(about.get("count"), int) or about["count"] < 1:
        raise UserError(f"{path}/predictions.json: count {about.get('count')!r}; run the evaluate stage again")
    columns = _read_parts(path, about["count"])
    answers = PackedGrids(columns.pop("cells"), columns.pop("shapes"), dataset.puzzle.canvas)
    return Predictions(**columns, answers=answers, about=about)


def _read_parts(path: Path, count: int) -> dict[str, Column]:
    names = (*COLUMNS, "cells", "shapes")
    try:
        parts = [read_arrays(_part(path, number), names) for number in range(-(-count // PART))]
    except UNREADABLE as error:
        raise UserError(f"{path}: damaged predictions ({error}); run the evaluate stage again") from None
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if len(columns["examples"]) != count:
        raise UserError(f"{path}: {len(columns['examples'])} predictions of {count}; run the evaluate stage again")
    return columns


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.npz"
