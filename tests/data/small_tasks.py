"""Five random ARC tasks."""

import json
from pathlib import Path

import numpy as np

PAIRS = {
    "training/aa": (1, 1),
    "training/bb": (2, 1),
    "training/cc": (4, 1),
    "evaluation/dd": (2, 1),
    "evaluation/ee": (3, 2),
}
"""Demonstrations and test pairs of each task."""


def write_tasks(folder: Path) -> None:
    """Random tasks with grids of 2 to 5 cells a side; no two cells' places are alike, so that no variants are equal."""
    rng = np.random.default_rng(5)

    def grid() -> list[list[int]]:
        return rng.integers(0, 10, rng.integers(2, 6, 2)).tolist()

    for name, (demonstrations, tests) in PAIRS.items():
        file = folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        pairs = [{"input": grid(), "output": grid()} for _ in range(demonstrations + tests)]
        file.write_text(json.dumps({"train": pairs[:demonstrations], "test": pairs[demonstrations:]}))
