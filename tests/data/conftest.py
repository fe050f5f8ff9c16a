"""A small ARC dataset: five tasks with one to five pairs, on a canvas of 8."""

from pathlib import Path

import pytest
from small_tasks import write_tasks

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.puzzles import Arc


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
