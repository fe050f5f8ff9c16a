"""Small trained models."""

from pathlib import Path

import pytest
import small_run

from hrm.data.dataset import Dataset
from hrm.training.card import LoadedModel, load_model


@pytest.fixture(scope="session")
def checkpoint(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows its four training puzzles by heart."""
    return small_run.write_checkpoint(tmp_path_factory.mktemp("checkpoints"), sudoku, small_run.SETTINGS, 150)


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> LoadedModel:
    return load_model(checkpoint.parent)
