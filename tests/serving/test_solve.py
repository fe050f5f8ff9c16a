from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hrm.data.dataset import Dataset
from hrm.model.act import Solution, solve
from hrm.model.hrm import HRM
from hrm.serving import solve as serving
from hrm.serving.solve import solve_puzzles, trace_puzzle
from hrm.serving.voters import Electorate, alone
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


def test_memory_does_not_grow_with_the_number_asked(
    loaded: LoadedModel, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with that of puzzles nor with that of votes."""
    sizes = []

    def watched(model: HRM, inputs_BL: Tensor, *arguments: Any, **named: Any) -> Solution:
        sizes.append(len(inputs_BL))
        return solve(model, inputs_BL, *arguments, **named)

    monkeypatch.setattr(serving, "solve", watched)
    questions = [sudoku.train.questions.grid(row % 4) for row in range(9)]
    electorate = Electorate(sudoku.puzzle)
    monkeypatch.setattr(serving, "BATCH_SIZE", 4)
    for votes in (1, 3, 10):
        sizes.clear()
        solved = solve_puzzles(loaded, questions, [electorate.voters(votes)] * 9)
        assert len(solved) == 9
        assert sum(sizes) == 9 * votes
        assert max(sizes) <= 4


def test_a_trace_ends_with_the_answer(loaded: LoadedModel, sudoku: Dataset) -> None:
    question = sudoku.train.questions.grid(0)
    trace = trace_puzzle(loaded, question, alone(sudoku.puzzle), steps=4)
    assert [one.steps for one in trace] == [1, 2, 3, 4]
    for steps, segment in enumerate(trace, 1):
        (one,) = solve_puzzles(loaded, [question], steps=steps)
        assert np.array_equal(segment.answer, one.answer)
        assert segment.confidence == pytest.approx(one.confidence)
        assert segment.valid == one.valid
