"""One split of a folder in the published layout, opened and checked; see `hrm.data.published`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_record
from hrm.data.arrays import open_array
from hrm.data.published import PAD, SET
from hrm.data.stored import StoredExamples
from hrm.errors import UserError
from hrm.puzzles.base import PuzzleKind

REMEDY = "make the folder again with the builder that wrote it"
COUNTS = ("pad_id", "ignore_label_id", "blank_identifier_id", "vocab_size", "seq_len", "num_puzzle_identifiers", "sets")
"""What is read of `dataset.json`; the other counts follow from the arrays."""
_ROWS = 1 << 14  # examples looked at at a time


def read_split(folder: Path, puzzle: PuzzleKind, num_ids: int) -> StoredExamples:
    """Open a split; its tokens stay on disk.

    Args:
        folder: `train` or `test` of a folder in the published layout.
        puzzle: the kind of puzzle that the tokens are.
        num_ids: how many puzzle ids there are, the blank one included.

    Raises:
        UserError: naming the file and what is wrong: missing or damaged, made for puzzles of another kind or size,
            indices that do not fit the examples, tokens or ids out of range.
    """
    _check_counts(folder / "dataset.json", puzzle, num_ids)
    inputs, labels = (_tokens(folder / f"{SET}__{field}.npy", puzzle) for field in ("inputs", "labels"))
    ids_file = folder / f"{SET}__puzzle_identifiers.npy"
    ids = _load(ids_file, 1)
    if len(labels) != len(inputs):
        _refuse(folder / f"{SET}__labels.npy", f"{len(labels):,} rows for {len(inputs):,} inputs")
    if puzzle.ignored_label is None:
        _check_rows(folder / f"{SET}__labels.npy", labels, least=PAD + 1, below=puzzle.vocab_size)
    puzzle_starts = _starts(folder / f"{SET}__puzzle_indices.npy", parts=len(ids), whole=len(inputs))
    group_file = folder / f"{SET}__group_indices.npy"
    group_starts = _starts(group_file, parts=None, whole=len(ids))
    allowed = (1, num_ids) if puzzle.has_puzzle_ids else (0, 1)
    if ids.min() < allowed[0] or ids.max() >= allowed[1]:
        _refuse(ids_file, f"a puzzle id is not from {allowed[0]} to {allowed[1] - 1}")
    sizes_P = np.diff(puzzle_starts)
    odd = np.flatnonzero(sizes_P != np.repeat(sizes_P[group_starts[:-1]], np.diff(group_starts)))
    if len(odd):
        group = int(np.searchsorted(group_starts, odd[0], side="right")) - 1
        _refuse(group_file, f"puzzle {odd[0]} has more or fewer examples than the first one of its group, {group}")
    return StoredExamples(inputs, labels, ids.astype(np.int32), puzzle_starts, group_starts)


def _check_counts(file: Path, puzzle: PuzzleKind, num_ids: int) -> None:
    about = read_record(file, COUNTS, REMEDY)
    height, width = puzzle.canvas
    expected: dict[str, tuple[Any, ...]] = {
        "sets": ([SET],),
        "pad_id": (PAD,),
        "blank_identifier_id": (0,),
        # Where a kind ignores none, the release names the pad, which is no answer's token.
        "ignore_label_id": (PAD, None) if puzzle.ignored_label is None else (puzzle.ignored_label,),
        "seq_len": (height * width,),
        "vocab_size": (puzzle.vocab_size,),
        "num_puzzle_identifiers": (num_ids,),
    }
    for key, values in expected.items():
        if about[key] not in values:
            raise UserError(
                f"{file}: {key} = {about[key]!r}, but it is {values[0]!r} with this build.puzzle ({puzzle}) and "
                f"identifiers.json; correct build.puzzle, or {REMEDY}"
            )


def _tokens(file: Path, puzzle: PuzzleKind) -> NDArray[np.uint8]:
    tokens = _load(file, 2)
    height, width = puzzle.canvas
    if tokens.shape[1] != height * width or not len(tokens):
        _refuse(file, f"shape {tokens.shape}, expected at least one row of {height * width}")
    _check_rows(file, tokens, least=0, below=puzzle.vocab_size)
    # A builder may have written wider integers; then this takes memory.
    return tokens.astype(np.uint8, copy=False)


def _check_rows(file: Path, tokens: NDArray[Any], *, least: int, below: int) -> None:
    for start in range(0, len(tokens), _ROWS):
        rows = tokens[start : start + _ROWS]
        wrong = (rows < least) | (rows >= below)
        if wrong.any():
            row, place = np.argwhere(wrong)[0]
            _refuse(file, f"row {start + row}, place {place}: token {rows[row, place]} is not {least} to {below - 1}")


def _starts(file: Path, *, parts: int | None, whole: int) -> NDArray[np.int32]:
    """Cumulative indices, checked: from 0 to `whole`, none empty."""
    starts = _load(file, 1)
    if parts is not None and len(starts) != parts + 1:
        _refuse(file, f"{len(starts):,} entries for {parts:,} puzzles, expected one more")
    if len(starts) < 2 or starts[0] != 0 or starts[-1] != whole or (np.diff(starts.astype(np.int64)) < 1).any():
        _refuse(file, f"does not rise from 0 to {whole:,}")
    return starts.astype(np.int32)


def _load(file: Path, dimensions: int) -> NDArray[Any]:
    try:
        array = open_array(file, REMEDY)
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; {REMEDY}") from None
    if array.ndim != dimensions or array.dtype.kind not in "ui":
        _refuse(file, f"{array.dtype} of {array.ndim} dimensions, expected whole numbers of {dimensions}")
    return array


def _refuse(file: Path, message: str) -> NoReturn:
    raise UserError(f"{file}: {message}; {REMEDY}")
