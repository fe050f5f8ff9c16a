"""A small ARC dataset: five tasks with one to five pairs, on a canvas of 8."""

import json
from pathlib import Path

import numpy as np
import pytest

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.puzzles import Arc

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


@pytest.fixture(scope="session")
def arc_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw")
    write_tasks(raw / "tasks")
    return raw


@pytest.fixture(scope="session")
def arc(arc_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("built") / "arc"
    settings = BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"], variants=6, seed=3)
    build_dataset(settings, arc_raw, out)
    return open_dataset(out)
