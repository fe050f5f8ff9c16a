"""A run of a few seconds: 4x4 Sudokus, a model of 16 units."""

from pathlib import Path

import pytest
from small_run import use_embedded_mlflow

from hrm.config import BuildSettings, HaltingSettings, ModelSettings, OptimizerSettings, TrainSettings
from hrm.data.build import build_dataset
from hrm.puzzles import Sudoku, SudokuGenerator


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "raw").mkdir()
    SudokuGenerator(box=(2, 2), givens="minimal", train=40, test=12, seed=1).write(folder / "raw")
    settings = BuildSettings(puzzle=Sudoku(box=(2, 2)), sources=["raw"], variants=3)
    build_dataset(settings, folder, folder / "built")
    return folder / "built"


@pytest.fixture
def settings() -> TrainSettings:
    """25 steps of batch 16, a validation every 10 of them."""
    return TrainSettings(
        model=ModelSettings(hidden=16, heads=2, H_layers=1, L_layers=1),
        halting=HaltingSettings(max_steps=3, exploration=0.5),
        optimizer=OptimizerSettings(lr=3e-3, warmup_steps=5),
        batch_size=16,
        epochs=10,
        eval_every=4,
        log_every=4,
        processes=1,
        precision="float32",
        compile=False,
    )


@pytest.fixture(autouse=True)
def embedded_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test logs to a database of its own."""
    use_embedded_mlflow(tmp_path, monkeypatch)
