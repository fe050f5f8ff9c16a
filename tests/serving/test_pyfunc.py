"""The model that MLflow loads, without MLflow around it."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_run
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModelContext
from mlflow.pyfunc.scoring_server import predictions_to_json
from safetensors.torch import load_file

from hrm.config import HaltingSettings, ModelSettings
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset
from hrm.data.published import identifiers
from hrm.evaluation.predictions import pack
from hrm.evaluation.vote import vote
from hrm.model.act import solve
from hrm.serving.package import example, requirements
from hrm.serving.pyfunc import PuzzleModel, signature
from hrm.serving.solve import solve_puzzles
from hrm.serving.voters import Electorate
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
    assert list(answers) == [column.name for column in signature(solver._loaded.card).outputs]
    assert len(ask(solver, puzzle=[])) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12", "row 1: 2 cells instead of 16"),
        ("9" * 16, "row 1: '9' is no cell of a Sudoku: expected digits up to 4, or . for a blank"),
        (None, "row 1: expected a puzzle as text or as rows of cells, not None"),
        (7, "row 1: expected a puzzle as text or as rows of cells, not 7"),
        ([], "row 1: expected a puzzle as text or as rows of cells, not []"),
        ([[1, 2], 3], "row 1: expected a row of cells, not 3"),
        ([[1, 2], [3]], "row 1: the rows are not of one length"),
        ([[1, 2], [3, 4]], "row 1: 4 cells instead of 16"),
        ([[0] * 5] * 4, "row 1: 4 rows of 5 cells; the canvas has 4 of 4"),
        ([[0] * 4] * 3 + [[0, 0, 0, 5]], "row 1: 5 is no cell of a Sudoku: expected a whole number up to 4"),
        ([[0] * 4] * 3 + [[0, 0, 0, True]], "row 1: True is no cell of a Sudoku: expected a whole number up to 4"),
    ],
)
def test_a_bad_row_is_named(solver: PuzzleModel, text: object, reason: str) -> None:
    with pytest.raises(MlflowException) as caught:
        ask(solver, puzzle=["." * 16, text])
    assert caught.value.message == reason
    assert caught.value.get_http_status_code() == 400


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
    with pytest.raises(MlflowException, match="row 0: task 'zz' is not one that the model was trained on"):
        ask(arc_solver, puzzle=[question], task=["zz"])
    with pytest.raises(MlflowException, match="row 0: expected the name of a task, not 7"):
        ask(arc_solver, puzzle=[question], task=[7])


def test_an_answer_that_nobody_can_judge_is_null_in_json(arc_solver: PuzzleModel, arc: Dataset) -> None:
    question = arc.puzzle.format(arc.test.questions.grid(0))
    text = io.StringIO()
    predictions_to_json(ask(arc_solver, puzzle=[question]), text)
    (one,) = json.loads(text.getvalue())["predictions"]
    assert one["valid"] is None


def test_the_variants_of_a_task_vote(arc_solver: PuzzleModel, arc: Dataset) -> None:
    """As the stage `vote` lets them."""
    copies = symmetric_copies(arc, copies=None, max_puzzles=1, seed=0)
    batch = copies.batch(slice(None))
    solution = solve(arc_solver._loaded.model, torch.from_numpy(batch.inputs), torch.from_numpy(batch.puzzle_ids))
    answers = pack(arc.puzzle.decode(solution.tokens_BL.numpy().astype(np.uint8)))
    examples = copies.example_M.astype(np.int32)
    ranking = vote(
        arc.puzzle, arc.test.answers, answers, examples, copies.symmetries_MK, solution.q_halt_B.numpy(), keep=1
    )
    question = arc.puzzle.format(arc.test.questions.grid(0))
    data = pd.DataFrame({"puzzle": [question], "task": [arc.names[int(arc.test.groups[0])]]}, dtype=object)
    for votes in (len(copies), 1000):  # there are no more
        voted = arc_solver.predict(None, data, {"votes": votes})
        assert voted["answer"].tolist() == [arc.puzzle.format(ranking.answers.grid(0))]
        assert voted["confidence"].tolist() == pytest.approx(ranking.confidences.tolist())
    assert arc_solver.predict(None, data)["confidence"].tolist() != pytest.approx(ranking.confidences.tolist())


def test_a_rule_that_the_puzzle_does_not_know_is_refused(
    solver: PuzzleModel, arc_solver: PuzzleModel, sudoku: Dataset, arc: Dataset
) -> None:
    for model, dataset, rule, known in (
        (solver, sudoku, "best", "votes, weighted, confidence, valid"),
        (arc_solver, arc, "valid", "votes, weighted, confidence"),
    ):
        asked = pd.DataFrame({"puzzle": [dataset.puzzle.format(dataset.test.questions.grid(0))]})
        with pytest.raises(MlflowException, match=rf"^params\.rule = '{rule}': expected one of {known}$") as caught:
            model.predict(None, asked, {"votes": 3, "rule": rule})
        assert caught.value.get_http_status_code() == 400


def test_a_variant_that_is_named_votes_alone(arc: Dataset) -> None:
    names = list(identifiers(arc))
    task, variant = names[1], names[2]
    electorate = Electorate(arc.puzzle, names)
    assert electorate.voters(1000, task).puzzle_ids_C.tolist() == [1, 2, 3]
    assert electorate.voters(2, task).puzzle_ids_C.tolist() == [1, 2]
    assert electorate.voters(1000, variant).puzzle_ids_C.tolist() == [2]
    assert np.array_equal(electorate.voters(1000, variant).symmetries_CK, arc.puzzle.identity[None])
    assert not electorate.voters(4).puzzle_ids_C.any()


def test_parameters_are_declared_with_their_defaults(solver: PuzzleModel) -> None:
    params = signature(solver._loaded.card).params
    assert [(param.name, param.default) for param in params] == [("votes", 1), ("rule", "votes"), ("steps", 2)]


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
