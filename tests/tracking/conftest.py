"""A finished run of a small Sudoku model, and MLflow in a folder of its own."""

from pathlib import Path

import pytest
import small_run

from hrm.data.dataset import Dataset


@pytest.fixture
def run(tmp_path: Path, sudoku: Dataset) -> Path:
    return small_run.finished_run(tmp_path / "runs/small", sudoku)


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The embedded database, in a fresh current folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    small_run.use_embedded_mlflow(folder, monkeypatch)
    return folder
