"""Choosing a way of asking: half of the tasks choose, the other half report."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.evaluation.effort import Effort
from hrm.evaluation.search import Trial, cheapest, choosing_half, frontier
from hrm.evaluation.search_page import page, text, verdict

COUNT = 8


def trial(segments: float, solved: list[bool], rule: str = "votes") -> Trial:
    solved_E = np.array(solved)
    return Trial("max", 4, Effort(2, 1, 1, rule, segments, solved_E, solved_E), noise=0.5)  # type: ignore[arg-type]


trials_made_up = st.lists(
    st.builds(
        trial,
        st.sampled_from([1.0, 2.0, 4.0, 8.0]),
        st.lists(st.booleans(), min_size=COUNT, max_size=COUNT),
        st.sampled_from(["votes", "valid"]),
    ),
    min_size=1,
    max_size=12,
)
HALF = choosing_half(np.arange(COUNT))


@settings(max_examples=60, deadline=None)
@given(trials=trials_made_up, target=st.sampled_from([0.0, 0.5, 0.75, 1.0]))
def test_the_cheapest_that_reaches_the_target_on_the_choosing_half(trials: list[Trial], target: float) -> None:
    reach = [one for one in trials if np.mean(one.effort.solved_E[::2]) >= target]
    found = cheapest(trials, HALF, target)
    assert (found is None) == (not reach)
    if found is not None:
        least = min(one.effort.segments for one in reach)
        assert found.effort.segments == least
        assert found.solved(HALF) == max(one.solved(HALF) for one in reach if one.effort.segments == least)
    best = frontier(trials, HALF)
    assert best[-1].solved(HALF) == max(one.solved(HALF) for one in trials)
    for one, other in pairwise(best):
        assert one.effort.segments < other.effort.segments
        assert one.solved(HALF) < other.solved(HALF)


@settings(max_examples=20, deadline=None)
@given(trials=trials_made_up, others=st.lists(st.booleans(), min_size=COUNT // 2, max_size=COUNT // 2))
def test_what_is_reported_chooses_nothing(trials: list[Trial], others: list[bool]) -> None:
    found = cheapest(trials, HALF, 0.75)
    for one in trials:
        one.effort.solved_E[1::2] = others
    again = cheapest(trials, HALF, 0.75)
    assert found is again


def test_no_task_is_on_both_sides() -> None:
    groups = np.array([3, 3, 5, 9, 9, 9, 11])
    assert choosing_half(groups).tolist() == [True, True, False, True, True, True, False]


def test_it_reports_the_other_half() -> None:
    flattered = trial(2.0, [True, False] * 4)
    assert "solves 0.0% of the 4 puzzles that did not choose" in verdict([flattered], HALF, 0.9)
    assert flattered.record(HALF)["solved"] == flattered.record(HALF)["exact"] == 0
    assert flattered.record(HALF)["solved_choosing"] == 1
    options = "-o evaluate.steps=max -o evaluate.max_steps=4 -o evaluate.copies=2 -o evaluate.starts=1"
    assert f"The cheapest for 90.0%: {options}" in verdict([flattered], HALF, 0.9)


def test_the_noise_that_was_tried_is_among_the_options() -> None:
    one = trial(2.0, [True] * 8)
    noisy = replace(one, noise=1.25, effort=replace(one.effort, starts=2))
    assert "-o evaluate.starts=2 -o evaluate.noise=1.25 " in noisy.overrides()
    assert "noise" not in one.overrides(), "the model's own start has none"
    assert noisy.record(HALF)["noise"] == 1.25


def test_says_so_when_none_reaches_the_target() -> None:
    trials = [trial(1.0, [False] * 8), trial(2.0, [True, True] + [False] * 6)]
    assert "None reaches 90.0% on the half that chooses. The best there: " in verdict(trials, HALF, 0.9)
    lines = text(trials, HALF, 0.9).splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["segments", "solved"], ["1.0", "0.0%"], ["2.0", "25.0%"]]
    shown = page("<small>", trials, HALF, 0.9)
    assert "&lt;small&gt;" in shown
    assert "None reaches 90.0%" in shown
    assert shown.count("<polyline") == 1
