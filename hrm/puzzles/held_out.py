"""Two splits of generated puzzles that share nothing.

Puzzles that are images of each other under a symmetry form a family. A family goes into one split as a whole: training
on random symmetric copies then never shows the model a test puzzle. No puzzle comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hrm.errors import UserError
from hrm.progress import progress
from hrm.puzzles.table import Row, write_table


class Draw(NamedTuple):
    """A generated puzzle and the family it belongs to."""

    row: Row
    family: bytes


class Splits:
    """The rows of the two splits while they fill up."""

    def __init__(self, train: int, test: int) -> None:
        self.rows: dict[str, list[Row]] = {"train": [], "test": []}
        self._wanted = {"train": train, "test": test}
        self._homes: dict[bytes, str] = {}
        self._seen: set[str] = set()

    def missing(self, split: str) -> int:
        """How many puzzles a split lacks."""
        return self._wanted[split] - len(self.rows[split])

    @property
    def full(self) -> bool:
        """Whether both splits have all their puzzles."""
        return not any(self.missing(split) for split in self.rows)

    def add(self, draw: Draw) -> bool:
        """Take a puzzle, unless it is known or its family's split is full.

        A new family goes where the larger share is missing, so that both splits fill up at the same pace.
        """
        if draw.row.question in self._seen:
            return False
        lacking = {split: self.missing(split) / max(wanted, 1) for split, wanted in self._wanted.items()}
        home = self._homes.setdefault(draw.family, max(lacking, key=lacking.__getitem__))
        if not lacking[home]:
            return False
        self._seen.add(draw.row.question)
        self.rows[home].append(draw.row)
        return True


def write_splits(into: Path, draws: Iterator[Draw | None], *, train: int, test: int, patience: int) -> None:
    """Write `train.csv` and `test.csv` from a stream of puzzles.

    Args:
        into: the folder.
        draws: the stream; None stands for an attempt that failed.
        train: puzzles of the training split.
        test: puzzles of the test split.
        patience: attempts in a row without a usable puzzle after which the settings count as impossible.

    Raises:
        UserError: when the patience is over.
    """
    splits = Splits(train, test)
    for _ in progress(_fill(splits, draws, patience), total=train + test, desc="generate", unit="puzzle"):
        pass
    into.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.rows.items():
        write_table(into / f"{split}.csv", rows)


def _fill(splits: Splits, draws: Iterator[Draw | None], patience: int) -> Iterator[None]:
    failed = 0
    while not splits.full:
        draw = next(draws)
        if draw is not None and splits.add(draw):
            failed = 0
            yield
        elif (failed := failed + 1) >= patience:
            missing = " and ".join(f"{splits.missing(split)} {split}" for split in splits.rows if splits.missing(split))
            raise UserError(
                f"generator: {missing} puzzles missing after {patience} attempts in a row without a new one; "
                f"ask for fewer or easier puzzles"
            )
