"""The figures, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import Answered

from hrm.data.dataset import Dataset
from hrm.evaluation.bootstrap import bootstrap
from hrm.evaluation.score import (
    evaluation_scores,
    mean_interval,
    score_names,
    valid_first_answers,
    vote_scores,
    wilson,
)


@pytest.mark.parametrize(
    ("fraction", "count", "low", "high"),
    [(0.0, 10, 0.0, 0.2775), (0.5, 20, 0.2993, 0.7007), (1.0, 10, 0.7225, 1.0), (0.95, 256, 0.9161, 0.9706)],
)
def test_wilson_interval_of_known_cases(fraction: float, count: int, low: float, high: float) -> None:
    assert wilson(fraction, count) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_wilson_interval_of_nothing_says_nothing() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_wilson_interval_holds_the_share(count: int, share: float) -> None:
    fraction = round(share * count) / count
    low, high = wilson(fraction, count)
    assert 0 <= low <= fraction <= high <= 1
    assert high - low <= wilson(0.5, count)[1] - wilson(0.5, count)[0] + 1e-12


def test_a_mean_of_shares_has_a_bootstrap_interval_unless_all_are_the_same() -> None:
    assert mean_interval(np.zeros(20)) == wilson(0, 20)
    assert mean_interval(np.full(20, 0.5)) == wilson(0.5, 20)
    assert mean_interval(np.array([0, 0.5, 1] * 10)) == bootstrap(np.array([0, 0.5, 1] * 10))


def test_evaluation_scores_of_originals_and_of_copies(sudoku: Dataset, sudoku_answered: Answered) -> None:
    right = [True, True, False, True, False, False]  # original and copy of three puzzles
    scores = evaluation_scores(sudoku_answered.predictions(right, [1, 1, 1, -1, -1, 0]), sudoku)
    copies = scores.pop("copies")
    low, high = wilson(1 / 3, 3)
    assert scores == {
        "exact_accuracy": pytest.approx(1 / 3),
        "exact_accuracy_low": low,
        "exact_accuracy_high": high,
        "valid_accuracy": pytest.approx(1 / 3),
        "token_accuracy": pytest.approx((1 + 2 * 15 / 16) / 3),
        "token_accuracy_low": 15 / 16,
        "token_accuracy_high": 1,
        "q_halt_accuracy": pytest.approx(2 / 3),
        "steps": 2,
        "count": 3,
        "segments": 12,
    }
    assert copies == {
        "exact_accuracy": 0.5,
        "valid_accuracy": 0.5,
        "token_accuracy": pytest.approx((3 + 3 * 15 / 16) / 6),
        # A logit of exactly 0 counts as "right".
        "q_halt_accuracy": 0.5,
        "steps": 2,
        "count": 6,
    }


def test_no_copies_no_scores_of_copies(arc: Dataset, arc_answered: Answered) -> None:
    predictions = arc_answered.predictions([True, False, False])
    scores = evaluation_scores(predictions.where(predictions.copies == 0), arc)
    assert scores["exact_accuracy"] == 1
    assert "copies" not in scores
    assert "valid_accuracy" not in scores, "rules cannot judge an ARC answer"


def test_vote_scores_of_sudoku(sudoku: Dataset, sudoku_answered: Answered) -> None:
    # The first by both votes, the second by confidence, the third never.
    ranking = sudoku_answered.ranking([True, True, False, True, False, False], [0, 0, 1, 2, 0, 0])
    valid_E = valid_first_answers(ranking, sudoku)
    assert valid_E is not None
    assert valid_E.tolist() == [True, True, False]
    assert vote_scores(ranking, sudoku, [1, 2], valid_E) == {
        "pass@1": pytest.approx(2 / 3),
        "pass@2": pytest.approx(2 / 3),
        "valid@1": pytest.approx(2 / 3),
        "tasks": 3,
        "test_inputs": 3,
        "votes": 2,
        "predictions": 6,
    }


def test_vote_scores_of_arc(arc: Dataset, arc_answered: Answered) -> None:
    ranking = arc_answered.ranking([True, False, False])
    assert valid_first_answers(ranking, arc) is None
    assert vote_scores(ranking, arc, [1, 2], None) == {
        "pass@1": 0,
        "pass@2": 1,
        "arc_prize": 1,
        # One task: drawn anew it is always the same.
        "arc_prize_low": wilson(1, 1)[0],
        "arc_prize_high": 1,
        "tasks": 1,
        "test_inputs": 1,
        "votes": 3,
        "predictions": 3,
    }


def test_the_names_of_all_scores_are_known_before(
    sudoku: Dataset, sudoku_answered: Answered, arc: Dataset, arc_answered: Answered
) -> None:
    for dataset, answered in ((sudoku, sudoku_answered), (arc, arc_answered)):
        correct = [True] * 6 if dataset is sudoku else [True] * 3
        ranking = answered.ranking(correct)
        scores = evaluation_scores(answered.predictions(correct), dataset)
        scores |= vote_scores(ranking, dataset, [1, 5], valid_first_answers(ranking, dataset))
        names = score_names(dataset.puzzle, [1, 5])
        assert {name for name, score in scores.items() if isinstance(score, float)} <= set(names)
        assert ("arc_prize" in names) == (dataset is arc)
