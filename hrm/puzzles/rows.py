"""The groups and examples that tables in the published column format stand for: every line a group of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from hrm.errors import UserError
from hrm.puzzles.base import Bytes, Examples, Grids, Sets, Table
from hrm.puzzles.table import Columns, line_of, read_sets, read_table

Check = Callable[[Bytes, Bytes], tuple[int, str] | None]
"""From (N, H, W) questions and answers to the first row that breaks the rules and what is wrong with it, if any."""


class RowNames(Sequence[str]):
    """`train-0`, `train-1`, ..., then `test-0`, ...: made when asked for, as there may be millions."""

    def __init__(self, train: int, test: int) -> None:
        self._train, self._test = train, test

    def __len__(self) -> int:
        return self._train + self._test

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        return f"train-{row}" if row < self._train else f"test-{row - self._train}"


def read_rows(sources: Sequence[Path], *, side: int, alphabet: Mapping[str, int], check: Check) -> Table:
    """`train.csv` and `test.csv` of each source, every line a group with one example.

    Args:
        sources: folders; their lines are counted on, in this order.
        side: height and width of a puzzle.
        alphabet: as for `read_table`.
        check: the rules of the puzzle.

    Raises:
        UserError: as `read_table`, or naming the first line that breaks the rules.
    """
    splits = {}
    for split in ("train", "test"):
        parts = [_read_checked(source / f"{split}.csv", side, alphabet, check) for source in sources]
        splits[split] = parts[0] if len(parts) == 1 else _joined(parts)
    train, test = splits["train"], splits["test"]
    labels = [
        f"{source.name}/{label}" if len(sources) > 1 else label
        for source in sources
        for label in read_sets(source / "test.csv")
    ]
    return Table(
        names=RowNames(len(train), len(test)),
        train=_examples(train, side, first_group=0),
        test=_examples(test, side, first_group=len(train)),
        notes={},
        test_sets=Sets.of(labels),
    )


def _read_checked(path: Path, side: int, alphabet: Mapping[str, int], check: Check) -> Columns:
    columns = read_table(path, length=side * side, alphabet=alphabet)
    block = 1 << 15
    for start in range(0, len(columns), block):
        rows = slice(start, start + block)
        fault = check(
            columns.questions[rows].reshape(-1, side, side),
            columns.answers[rows].reshape(-1, side, side),
        )
        if fault is not None:
            row, message = fault
            raise UserError(f"{path}: line {line_of(path, start + row)}: {message}; correct the line")
    return columns


def _joined(parts: list[Columns]) -> Columns:
    return Columns(
        np.concatenate([part.questions for part in parts]),
        np.concatenate([part.answers for part in parts]),
        np.concatenate([part.ratings for part in parts]),
    )


def _examples(columns: Columns, side: int, first_group: int) -> Examples:
    count = len(columns)
    return Examples(
        questions=square_grids(columns.questions.reshape(count, side, side)),
        answers=square_grids(columns.answers.reshape(count, side, side)),
        groups=np.arange(first_group, first_group + count),
        ratings=columns.ratings,
    )


def square_grids(cells_NHW: Bytes) -> Grids:
    """Grids that fill their canvas; the shapes take no memory."""
    return Grids(cells_NHW, np.broadcast_to(np.array(cells_NHW.shape[1:], np.uint8), (len(cells_NHW), 2)))
