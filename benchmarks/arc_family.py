"""A family of ARC tasks that can be learned: each task paints the cells of its grids in one colour, maybe mirrored.

A test input alone tells neither, so that whoever answers it must have learned the task's rule from its demonstrations.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

MIRRORS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
"""Directions of rows and of columns."""
COLOURS = 9


def write_tasks(folder: Path, count: int, seed: int, *, mirrors: int = 1, demonstrations: int = 3) -> None:
    """Write `count` task files whose rules are drawn at random.

    Args:
        folder: to write into.
        count: of tasks.
        seed: of rules and grids.
        mirrors: the first of `MIRRORS` that a rule may have.
        demonstrations: of each task, besides one test pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        mirror, colour = MIRRORS[rng.integers(mirrors)], int(rng.integers(1, COLOURS + 1))
        pairs = [_pair(rng, mirror, colour) for _ in range(demonstrations + 1)]
        (folder / f"paint-{seed}-{number}.json").write_text(json.dumps({"train": pairs[:-1], "test": pairs[-1:]}))


def _pair(rng: np.random.Generator, mirror: tuple[int, int], colour: int) -> dict[str, list[list[int]]]:
    filled = rng.random((3, 3)) < 0.5
    question = np.where(filled, rng.integers(1, COLOURS + 1, (3, 3)), 0)
    answer = np.where(filled[:: mirror[0], :: mirror[1]], colour, 0)
    return {"input": question.tolist(), "output": answer.tolist()}
