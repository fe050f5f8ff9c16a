"""The registry's page of a version."""

import dataclasses

import numpy as np
import pytest

from hrm.config import EvaluateSettings, PublishedScore, RegisterSettings, VoteSettings
from hrm.data.dataset import Dataset
from hrm.serving.champion import UNDECIDED
from hrm.serving.description import ROOM, Story, describe, fitting
from hrm.serving.origin import Origin, Parent
from hrm.serving.outcome import Outcome
from hrm.serving.registry import version_tags
from hrm.training.card import LoadedModel

CODE = {"version": "0", "digest": "0" * 64, "git_commit": None}
VOTE = {"pass@1": 0.5, "tasks": 400, "test_inputs": 419, "votes": 1, "predictions": 419}


@pytest.fixture
def story(loaded: LoadedModel, sudoku: Dataset) -> Story:
    evaluate = {"exact_accuracy": 0.5, "count": 419}
    settings, outcome = RegisterSettings(description="For a test."), Outcome("7" * 64, np.ones(419, bool))
    return Story("small", settings, sudoku, loaded, evaluate, VOTE, Origin(CODE, {}), outcome)


def test_a_share_of_cases_has_an_interval_and_a_mean_of_shares_the_one_on_record(story: Story) -> None:
    text = describe(dataclasses.replace(story, vote={**VOTE, "arc_prize": 0.41}), "").replace(ROOM, "")
    assert "| pass@1, one answer each | 50.0% | 45.1% – 54.9% | 400 tasks |" in text
    assert "| ARC Prize score, one answer each | 41.0% | | 400 tasks |" in text
    bounds = {"arc_prize_low": 0.362, "arc_prize_high": 0.458}
    text = describe(dataclasses.replace(story, vote={**VOTE, "arc_prize": 0.41, **bounds}), "").replace(ROOM, "")
    assert "| ARC Prize score, one answer each | 41.0% | 36.2% – 45.8% | 400 tasks |" in text


def test_every_row_of_the_scores_has_the_same_columns(story: Story) -> None:
    text = describe(dataclasses.replace(story, vote={**VOTE, "arc_prize": 0.41, "votes": 1000}), "").replace(ROOM, "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {5}
    assert "| ARC Prize score, 1,000 answers voting |" in text
    assert "ARC Prize" not in describe(story, "")


def test_columns_have_room_between_them(story: Story) -> None:
    rows = [line for line in describe(story, "").splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    for row in rows:
        _, *others = row.removeprefix("| ").removesuffix(" |").split(" | ")
        assert [cell[: len(ROOM)] for cell in others] == [ROOM] * 3


def test_the_page_says_how_far_more_computing_takes_the_model(story: Story) -> None:
    assert "## More votes" not in describe(story, "")
    text = describe(dataclasses.replace(story, gains="| params | right |\n|---|---:|\n| x | 1 |"), "")
    assert "## More votes, more segments\n\nHow many first answers are right" in text
    assert (
        f"2 segments and one vote when left out.\n\n| params | {ROOM}right |\n|---|---:|\n| x | {ROOM}1 |\n\n" in text
    )


def test_pass_at_k_ends_where_more_candidates_cannot_be(story: Story) -> None:
    vote = {**VOTE, "votes": 8, "pass@2": 0.6, "pass@10": 0.7, "pass@100": 0.7}
    text = describe(dataclasses.replace(story, vote=vote), "")
    assert "pass@10," in text
    assert "pass@100" not in text
    tags = version_tags(dataclasses.replace(story, vote={**vote, "valid@1": 0.5}), "run")
    assert [tag for tag in tags if "_at_" in tag] == ["pass_at_1", "pass_at_2", "pass_at_10", "valid_at_1"]


def test_scores_say_what_they_were_made_with_and_where_serving_differs(story: Story) -> None:
    trained = story.loaded.card.train.halting.max_steps
    plain = describe(story, "")
    assert f"Each answer took {trained} segments.\n" in plain
    assert "Once it is served" not in plain
    vote = {**VOTE, "votes": 8}
    copies = describe(dataclasses.replace(story, vote=vote), "")
    assert "Copies voted; candidates are ranked by votes, then by the model's own confidence.\n" in copies
    for asked, voted, said in (
        ({"max_steps": 9}, {}, f"the model runs {trained} segments unless `steps` says otherwise: its answers"),
        ({"steps": "halt"}, {}, f"the model runs {trained} segments unless"),
        (
            {"starts": 4},
            {},
            "the model lets copies alone vote, ranked as published unless `rule` says otherwise: its answers",
        ),
        ({"checkpoints": 2}, {}, "the model lets copies alone vote"),
        ({}, {"rule": "valid"}, "the model lets copies alone vote"),
    ):
        other = {"asked": EvaluateSettings(**asked), "voted": VoteSettings(**voted)}
        assert f"Once it is served, {said}" in describe(dataclasses.replace(story, vote=vote, **other), ""), asked


def test_a_page_says_what_a_version_was_made_of_on_and_by(story: Story) -> None:
    origin = Origin(CODE, {"small": "5" * 64}, "NVIDIA H100", 8, 0.25, Parent("7", "abc"))
    text = describe(dataclasses.replace(story, origin=origin), "")
    assert f"- source small, digest: `{'5' * 64}`\n" in text
    assert f"- test digest: `{'7' * 64}`\n" in text
    assert "- trained on 8 × NVIDIA H100, a process each\n- cost: 15 min on each, 2 device hours\n" in text
    assert "- part of the run [`abc`](#/experiments/7/runs/abc)\n" in text
    assert {"hardware": "8 × NVIDIA H100", "device_hours": "2", "parent_run": "abc"}.items() <= origin.tags.items()


def test_a_page_has_the_length_that_a_database_takes(story: Story) -> None:
    """PostgreSQL refuses more than 5000 characters, of which decisions need some."""
    told = dataclasses.replace(story, gains="x" * 3000)
    page = describe(told, UNDECIDED)
    assert len(page) <= 3800
    assert "## More votes" not in page
    assert "## Use" in page
    assert "## Limits" in page
    settings = story.settings.model_copy(update={"description": "x" * 3000})
    assert "## Use" not in describe(dataclasses.replace(story, settings=settings), UNDECIDED)
    assert len(fitting("x" * 5000)) == 5000
    assert len(fitting("x" * 5001)) == 5000


def test_a_long_training_costs_a_plain_number_of_hours(story: Story) -> None:
    origin = Origin(CODE, {}, "NVIDIA H100", 8, 1234.5)
    text = describe(dataclasses.replace(story, origin=origin), "")
    assert "- cost: 1234 h on each, 9876 device hours\n" in text
    assert origin.tags["device_hours"] == "9876"


def test_what_is_not_on_record_is_left_out(story: Story) -> None:
    text = describe(story, "")
    assert not [word for word in ("source", "trained on", "cost", "part of") if f"- {word}" in text]
    assert story.origin.tags == {"code_digest": "0" * 64}


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("exact_accuracy", "55 % exact_accuracy (8 GPUs, 10 min); here 50.0% of 419 (95 % interval 45.2% – 54.8%)."),
        ("pass@1", "55 % pass@1 (8 GPUs, 10 min); here 50.0% of 400 (95 % interval 45.1% – 54.9%)."),
        ("solved", "55 % solved (8 GPUs, 10 min)."),
    ],
)
def test_ours_stands_beside_the_published_score(story: Story, metric: str, said: str) -> None:
    published = PublishedScore(metric=metric, value=55.0, hardware="8 GPUs", time="10 min")
    settings = story.settings.model_copy(update={"published": published})
    assert f"Published for this recipe: {said}\n" in describe(dataclasses.replace(story, settings=settings), "")
