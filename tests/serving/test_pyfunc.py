"""The model that MLflow loads, without MLflow around it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_run
import torch
from mlflow.pyfunc.model import PythonModelContext
from safetensors.torch import load_file

from hrm.config import HaltingSettings, ModelSettings
from hrm.data.dataset import Dataset
from hrm.data.published import identifiers
from hrm.serving.package import example, requirements
from hrm.serving.pyfunc import PuzzleModel, signature
from hrm.serving.solve import solve_puzzles
from hrm.training.card import load_model


def model_of(**artifacts: Path) -> PuzzleModel:
    model = PuzzleModel()
    model.load_context(PythonModelContext({name: str(path) for name, path in artifacts.items()}, {}))
    return model


@pytest.fixture(scope="module")
def solver(checkpoint: Path) -> PuzzleModel:
    return model_of(weights=checkpoint / "model.safetensors", card=checkpoint / "model.json")


@pytest.fixture(scope="module")
def arc_solver(arc: Dataset, tmp_path_factory: pytest.TempPathFactory) -> PuzzleModel:
    """A model whose answers depend on the puzzle id: each embedding is a different noise."""
    model = ModelSettings(hidden=32, heads=2, H_layers=1, L_layers=1)
    settings = small_run.SETTINGS.model_copy(update={"model": model, "halting": HaltingSettings(max_steps=1)})
    folder = small_run.write_checkpoint(tmp_path_factory.mktemp("checkpoints"), arc, settings, 0)
    weights = load_file(folder / "model.safetensors")
    weights["puzzle_embedding.table"].normal_()
    weights["q_head.weight"].normal_()
    small_run.write_weights(folder, weights)
    (folder / "identifiers.json").write_text(json.dumps(list(identifiers(arc))))
    return model_of(
        weights=folder / "model.safetensors", card=folder / "model.json", identifiers=folder / "identifiers.json"
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_have_the_precision_of_the_training(sudoku: Dataset, tmp_path: Path, precision: str) -> None:
    settings = small_run.SETTINGS.model_copy(update={"precision": precision})
    folder = small_run.write_checkpoint(tmp_path, sudoku, settings, 0)
    served = model_of(weights=folder / "model.safetensors", card=folder / "model.json")
    expected = load_model(tmp_path).model
    assert served._loaded.model.dtype == expected.dtype == getattr(torch, precision)
    assert not served._loaded.model.training
    question = sudoku.puzzle.format(sudoku.test.questions.grid(0))
    (local,) = solve_puzzles(load_model(tmp_path), [sudoku.test.questions.grid(0)])
    assert ask(served, puzzle=[question])["confidence"].tolist() == [local.confidence]


def ask(model: PuzzleModel, **columns: list[object]) -> pd.DataFrame:
    return model.predict(None, pd.DataFrame(columns, dtype=object))


def test_one_row_an_answer(solver: PuzzleModel, sudoku: Dataset) -> None:
    puzzle = sudoku.puzzle
    questions = [puzzle.format(sudoku.train.questions.grid(row)) for row in (2, 0)]
    answers = ask(solver, puzzle=questions)
    assert answers["answer"].tolist() == [small_run.SOLVED[2], small_run.SOLVED[0]]
    assert answers["valid"].tolist() == [True, True]
    assert answers["confidence"].between(0, 1).all()
    assert answers["steps"].tolist() == [2, 2]
    assert list(answers) == [column.name for column in signature(puzzle).outputs]
    assert len(ask(solver, puzzle=[])) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12", "row 1: 2 cells instead of 16"),
        ("9" * 16, "row 1: '9' is no cell of a Sudoku: expected digits up to 4, or . for a blank"),
        (None, "row 1: expected a puzzle as text, not None"),
        (7, "row 1: expected a puzzle as text, not 7"),
    ],
)
def test_a_bad_row_is_named(solver: PuzzleModel, text: object, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        ask(solver, puzzle=["." * 16, text])
    assert str(caught.value) == reason


def test_arc_answers_by_the_task_that_is_named(arc_solver: PuzzleModel, arc: Dataset) -> None:
    question = arc.puzzle.format(arc.test.questions.grid(0))
    variant = arc.puzzle.variant_name("bb", arc.symmetries[arc.starts[1] + 1])
    answers = ask(arc_solver, puzzle=[question] * 5, task=["aa", "bb", variant, None, np.nan])
    assert answers["valid"].isna().all()
    texts = answers["answer"].tolist()
    confidences = answers["confidence"].tolist()
    assert len(set(confidences[:4])) == 4
    assert (texts[3], confidences[3]) == (texts[4], pytest.approx(confidences[4]))
    assert ask(arc_solver, puzzle=[question])["confidence"].tolist() == pytest.approx(confidences[3:4])
    with pytest.raises(ValueError, match="row 0: task 'zz' is not one that the model was trained on"):
        ask(arc_solver, puzzle=[question], task=["zz"])


def test_identifiers_are_listed_by_puzzle_id(arc: Dataset) -> None:
    names = list(identifiers(arc))
    assert len(names) == arc.num_puzzle_ids
    assert names[0] == "<blank>"
    for group, start in enumerate(arc.starts[:-1]):
        assert names[start + 1] == arc.names[group]
        assert names[start + 2].startswith(f"{arc.names[group]}_t")


def test_the_example_is_a_test_puzzle(arc: Dataset, sudoku: Dataset) -> None:
    assert example(arc).iloc[0].to_dict() == {"puzzle": arc.puzzle.format(arc.test.questions.grid(0)), "task": "bb"}
    assert list(example(sudoku)) == ["puzzle"]


def test_requirements_are_pinned_to_what_an_index_has() -> None:
    pins = dict(pin.split("==") for pin in requirements())
    assert {"torch", "mlflow", "safetensors"} <= pins.keys()
    assert not any("+" in version for version in pins.values())
