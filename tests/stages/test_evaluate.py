"""The evaluate stage on a small trained run."""

import json
from pathlib import Path

import pytest
import small_run

from hrm.config import EvaluateSettings, TrainSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation.predictions import open_predictions
from hrm.stages.evaluate import evaluate


@pytest.fixture(scope="module")
def sudoku(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_run.sudoku_dataset(tmp_path_factory.mktemp("sudoku"))


@pytest.fixture(scope="module")
def arc(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_run.arc_dataset(tmp_path_factory.mktemp("arc"))


def test_writes_predictions_and_scores(sudoku: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, small_run.SETTINGS, steps=60)
    settings = EvaluateSettings(copies=3, batch_size=2)
    evaluate(settings, sudoku.path, tmp_path / "checkpoints", tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "evaluate.json",
        "evaluate.provenance.json",
        "predictions",
    ]
    scores = json.loads((tmp_path / "run/evaluate.json").read_text())
    assert scores["count"] == 3
    assert scores["copies"]["count"] == 9
    assert 0 <= scores["exact_accuracy_low"] <= scores["exact_accuracy"] <= scores["exact_accuracy_high"] <= 1
    assert scores["token_accuracy"] > 0.3, "the model was trained on these answers"
    predictions = open_predictions(tmp_path / "run/predictions", sudoku)
    assert scores["copies"]["exact_accuracy"] == pytest.approx(predictions.exact.mean())
    assert predictions.about["checkpoint_step"] == 60
    assert predictions.about["settings"]["copies"] == 3
    record = json.loads((tmp_path / "run/evaluate.provenance.json").read_text())
    assert record["inputs"]["dataset"] == sudoku.digest


def test_first_puzzles_only(arc: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", arc, small_run.SETTINGS, steps=1)
    evaluate(EvaluateSettings(copies=1, max_puzzles=1), arc.path, tmp_path / "checkpoints", tmp_path / "run")
    scores = json.loads((tmp_path / "run/evaluate.json").read_text())
    assert (scores["count"], "copies" in scores, "valid_accuracy" in scores) == (1, False, False)


def refusal(dataset: Dataset, folder: Path) -> str:
    with pytest.raises(UserError) as error:
        evaluate(EvaluateSettings(), dataset.path, folder / "checkpoints", folder / "run")
    assert not (folder / "run").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_refuses_a_checkpoint_of_another_shape(sudoku: Dataset, arc: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", arc, small_run.SETTINGS, steps=1)
    assert str(tmp_path / "checkpoints") in refusal(sudoku, tmp_path)


def test_refuses_a_checkpoint_whose_puzzle_ids_mean_other_tasks(
    arc: Dataset, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", arc, small_run.SETTINGS, steps=1)
    card = tmp_path / "checkpoints/step-00000001/model.json"
    card.write_text(card.read_text().replace(arc.digest, "0" * 64))
    assert "another dataset" in refusal(arc, tmp_path)


def test_sudokus_of_another_dataset_are_fine(sudoku: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, small_run.SETTINGS, steps=1)
    card = tmp_path / "checkpoints/step-00000001/model.json"
    card.write_text(card.read_text().replace(sudoku.digest, "0" * 64))
    evaluate(EvaluateSettings(), sudoku.path, tmp_path / "checkpoints", tmp_path / "run")


def test_refuses_an_empty_folder(sudoku: Dataset, tmp_path: Path) -> None:
    assert str(tmp_path / "checkpoints") in refusal(sudoku, tmp_path)


def test_settings_are_those_of_training(sudoku: Dataset, tmp_path: Path) -> None:
    settings = TrainSettings.model_validate(small_run.SETTINGS.model_dump() | {"halting": {"max_steps": 3}})
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, settings, steps=1)
    evaluate(EvaluateSettings(), sudoku.path, tmp_path / "checkpoints", tmp_path / "run")
    assert json.loads((tmp_path / "run/evaluate.json").read_text())["steps"] == 3
