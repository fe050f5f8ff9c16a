"""Accuracy against compute: each point is what voting on those predictions alone gives; its chart and table."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import Answered, answered

from hrm.data.dataset import Dataset
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.chart import Series
from hrm.evaluation.effort import efforts, rules_for
from hrm.evaluation.effort_chart import DoublingAxis, effort_chart, effort_section
from hrm.evaluation.vote import vote


@pytest.fixture(scope="module")
def five_copies(sudoku: Dataset) -> Answered:
    return answered(sudoku, copies=5)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_point_is_a_vote_of_its_own(five_copies: Answered, data: st.DataObject) -> None:
    count = len(five_copies.copies)
    right = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    logits = data.draw(st.lists(st.sampled_from([-2.0, 0.0, 3.0]), min_size=count, max_size=count))
    steps = np.array(data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)), np.int32)
    predictions, dataset = replace(five_copies.predictions(right, logits), steps=steps), five_copies.dataset
    candidates = candidates_in(predictions, dataset)
    found = list(efforts(predictions, candidates, rules_for(candidates)))
    assert [(one.copies, one.rule) for one in found] == [
        (copies, rule) for copies in (1, 2, 4, 5) for rule in ("votes", "weighted", "confidence", "valid")
    ]
    for one in found:
        few = predictions.where(predictions.copies < one.copies)
        columns = (few.answers, few.examples, few.symmetries, few.q_halt)
        test = dataset.test
        ranking = vote(dataset.puzzle, test.answers, *columns, rule=one.rule, questions=test.questions)
        assert one.exact_E.tolist() == (ranking.truth_ranks == 0).tolist()
        assert one.solved_E.tolist() == one.exact_E.tolist(), "a Sudoku has one solution"
        assert one.segments == pytest.approx(steps[predictions.copies < one.copies].sum() / 3)


def test_starts_and_checkpoints_vote_as_copies_do(five_copies: Answered) -> None:
    """Four predictions of each puzzle: two starts by two checkpoints; the fifth is left out."""
    predictions = five_copies.predictions([False, False, False, True, True] * 3, [0.0, 0.0, 0.0, 5.0, 0.0] * 3)
    predictions = predictions.where(predictions.copies < 4)
    place = predictions.copies
    predictions = replace(predictions, copies=place * 0, starts=place // 2, checkpoints=place % 2)
    candidates = candidates_in(predictions, five_copies.dataset)
    found = {(one.starts, one.checkpoints): one for one in efforts(predictions, candidates, ["confidence"])}
    assert {counts: bool(one.exact_E.all()) for counts, one in found.items()} == {
        (1, 1): False,
        (1, 2): False,
        (2, 1): False,
        (2, 2): True,
    }
    assert [one.votes for one in found.values()] == [1, 2, 2, 4]


def test_only_rules_that_apply(arc_answered: Answered) -> None:
    assert rules_for(arc_answered.candidates([True, False, False])) == ["votes", "weighted", "confidence"]


def test_section_draws_each_rule_and_tells_its_figures(five_copies: Answered) -> None:
    right = [False, True, True, True, True] * 3
    candidates = five_copies.candidates(right)
    text = effort_section(list(efforts(five_copies.predictions(right), candidates, rules_for(candidates))), None)
    assert text.count("<polyline") == 4
    assert "valid ends at 100.0\N{NO-BREAK SPACE}%" in text
    assert re.search(r"5 votes, votes</th><td>10.0</td><td>100.0\N{NO-BREAK SPACE}%</td>", text)
    assert re.search(r"1 vote, votes</th><td>2.0</td><td>0.0\N{NO-BREAK SPACE}%</td>", text)


def test_nothing_to_draw_of_one_vote_each(five_copies: Answered) -> None:
    predictions = five_copies.predictions([True] * 15)
    predictions = predictions.where(predictions.copies == 0)
    candidates = candidates_in(predictions, five_copies.dataset)
    assert effort_section(list(efforts(predictions, candidates, ["votes"])), None) == ""


@given(st.floats(0.5, 100), st.floats(1, 1000))
def test_each_doubling_takes_the_same_space(least: float, factor: float) -> None:
    scale = DoublingAxis(least, least * 2 * factor, [least], 50, 450)
    pixels = scale.at(least * 2 * factor * np.array([0.25, 0.5, 1.0]))
    assert pixels[2] == pytest.approx(450)
    assert pixels[2] - pixels[1] == pytest.approx(pixels[1] - pixels[0])


@pytest.mark.parametrize("segments", [[1.0], [3.0], [5.0, 7.0], [1.0, 1e6]])
def test_any_range_of_segments_can_be_drawn(segments: list[float]) -> None:
    text = effort_chart("a", {"b": Series(np.array(segments), np.linspace(0, 1, len(segments)))})
    assert 'text-anchor="middle"' in text
    assert text.count('text-anchor="middle"') <= 10
    assert "nan" not in text
