"""The registry's page of a version."""

import dataclasses

import pytest

from hrm.config import RegisterSettings
from hrm.data.dataset import Dataset
from hrm.serving.description import Story, describe
from hrm.training.card import LoadedModel

CODE = {"version": "0", "digest": "0" * 64, "git_commit": None}
VOTE = {"pass@1": 0.5, "tasks": 400, "test_inputs": 419, "copies": 1, "predictions": 419}


@pytest.fixture
def story(loaded: LoadedModel, sudoku: Dataset) -> Story:
    evaluate = {"exact_accuracy": 0.5, "count": 419}
    settings = RegisterSettings(description="For a test.")
    return Story("small", settings, sudoku, loaded, evaluate, VOTE, CODE)


def test_a_share_of_cases_has_an_interval_and_a_mean_of_shares_the_one_on_record(story: Story) -> None:
    text = describe(dataclasses.replace(story, vote={**VOTE, "arc_prize": 0.41}), "")
    assert "| pass@1, one answer each | 50.0% | 45.1% – 54.9% | 400 tasks |" in text
    assert "| ARC Prize score, one answer each | 41.0% | | 400 tasks |" in text
    bounds = {"arc_prize_low": 0.362, "arc_prize_high": 0.458}
    text = describe(dataclasses.replace(story, vote={**VOTE, "arc_prize": 0.41, **bounds}), "")
    assert "| ARC Prize score, one answer each | 41.0% | 36.2% – 45.8% | 400 tasks |" in text


def test_every_row_of_the_scores_has_the_same_columns(story: Story) -> None:
    text = describe(dataclasses.replace(story, vote={**VOTE, "arc_prize": 0.41, "copies": 1000}), "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {5}
    assert "| ARC Prize score, 1,000 copies voting |" in text
    assert "ARC Prize" not in describe(story, "")
