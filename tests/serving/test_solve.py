import numpy as np
import pytest
import torch

from hrm.data.dataset import Dataset
from hrm.model.act import solve
from hrm.serving import solve as serving
from hrm.serving.solve import solve_puzzles
from hrm.training.card import LoadedModel


def test_known_puzzles_are_solved(loaded: LoadedModel, sudoku: Dataset) -> None:
    questions = [sudoku.train.questions.grid(row) for row in range(4)]
    solved = solve_puzzles(loaded, questions)
    for row, one in enumerate(solved):
        assert np.array_equal(one.answer, sudoku.train.answers.grid(row))
        assert one.valid is True
        assert one.steps == 2


def test_a_wrong_answer_is_not_valid(loaded: LoadedModel) -> None:
    contradiction = loaded.card.puzzle.parse("11..............")
    (one,) = solve_puzzles(loaded, [contradiction])
    assert one.valid is False


def test_confidence_is_that_of_the_model(loaded: LoadedModel, sudoku: Dataset) -> None:
    questions = sudoku.test.questions
    tokens = torch.from_numpy(sudoku.puzzle.encode(questions).astype(np.int32))
    expected = torch.sigmoid(solve(loaded.model, tokens, torch.zeros(3, dtype=torch.int32)).q_halt_B)
    solved = solve_puzzles(loaded, [questions.grid(row) for row in range(3)])
    assert [one.confidence for one in solved] == pytest.approx(expected.tolist(), rel=1e-5)


def test_batches_do_not_show(loaded: LoadedModel, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [sudoku.train.questions.grid(row % 4) for row in range(7)]
    at_once = [one.answer.tolist() for one in solve_puzzles(loaded, questions)]
    monkeypatch.setattr(serving, "BATCH_SIZE", 3)
    assert [one.answer.tolist() for one in solve_puzzles(loaded, questions)] == at_once
    assert solve_puzzles(loaded, []) == []
