"""The evaluate stage on a small trained run."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from safetensors.torch import load_file

from hrm.config import EvaluateSettings, TrainSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation.predictions import open_predictions
from hrm.stages import evaluate as evaluate_stage
from hrm.stages.evaluate import evaluate


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


def test_every_start_and_checkpoint_answers_every_copy(sudoku: Dataset, tmp_path: Path) -> None:
    for steps in (30, 60):
        folder = small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, small_run.SETTINGS, steps=steps)
        weights = load_file(folder / "model.safetensors")
        torch.nn.init.normal_(weights["q_head.weight"], generator=torch.Generator().manual_seed(0))
        small_run.write_weights(folder, weights)
    settings = EvaluateSettings(copies=2, starts=3, noise=1.0, checkpoints=2, max_steps=5)
    evaluate(settings, sudoku.path, tmp_path / "checkpoints", tmp_path / "run")
    kept = open_predictions(tmp_path / "run/predictions", sudoku)
    columns = (kept.examples, kept.copies, kept.starts, kept.checkpoints)
    assert list(zip(*columns, strict=True)) == list(product(range(3), range(2), range(3), range(2)))
    assert kept.about["checkpoint_steps"] == [60, 30]
    assert (kept.steps == 5).all()
    scores = json.loads((tmp_path / "run/evaluate.json").read_text())
    assert (scores["count"], scores["copies"]["count"], scores["segments"]) == (3, 36, 36 * 5)
    # Without noise, copies and the older checkpoint it is the same; each of them does change something.
    evaluate(EvaluateSettings(max_steps=5), sudoku.path, tmp_path / "checkpoints", tmp_path / "plain")
    plain = open_predictions(tmp_path / "plain/predictions", sudoku)
    assert kept.q_halt[kept.original].tolist() == pytest.approx(plain.q_halt.tolist(), abs=1e-5)
    q_halt = kept.q_halt.reshape(3, 2, 3, 2)
    for axis in range(1, 4):
        assert (np.ptp(q_halt, axis=axis) > 1e-3).all()


def test_says_how_to_keep_more_checkpoints(sudoku: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, small_run.SETTINGS, steps=1)
    with pytest.raises(UserError, match=r"evaluate.checkpoints = 2: .* has 1; train with train.checkpoints.leave=2"):
        evaluate(EvaluateSettings(checkpoints=2), sudoku.path, tmp_path / "checkpoints", tmp_path / "run")


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


@pytest.mark.parametrize("size", [10**11, 10**12])
@pytest.mark.parametrize("key", ["copies", "starts"])
def test_absurdly_many_predictions_are_refused_at_once(sudoku: Dataset, tmp_path: Path, key: str, size: int) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, small_run.SETTINGS, steps=1)
    settings = EvaluateSettings.model_validate({key: size})
    with pytest.raises(UserError, match=rf"evaluate: {3 * size:,} predictions .* are more than 100,000,000; lower one"):
        evaluate(settings, sudoku.path, tmp_path / "checkpoints", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_there_are_no_more_processes_than_pieces(
    sudoku: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, small_run.SETTINGS, steps=1)
    monkeypatch.setattr(evaluate_stage, "launch", None)
    evaluate(EvaluateSettings(processes=100_000), sudoku.path, tmp_path / "checkpoints", tmp_path / "run")
    assert (tmp_path / "run/evaluate.json").is_file()
