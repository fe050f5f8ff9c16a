"""Each voting rule against the rule written down as slowly and plainly as it is stated, on Sudokus."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.config.vote import Rule
from hrm.errors import UserError
from hrm.evaluation.candidates import Candidates, candidates_of
from hrm.evaluation.predictions import PackedGrids, pack
from hrm.evaluation.vote import UNSEEN, standing_of, vote
from hrm.puzzles import Arc, Sudoku
from hrm.puzzles.base import Bytes, Grids

RULES: tuple[Rule, ...] = get_args(Rule)
SUDOKU = Sudoku(box=(2, 2))
QUESTIONS = ("1...............", "12..............")
# Two that solve both questions, one that solves the first alone, one that repeats digits, one that changes the given.
ANSWERS = ("1234341221434321", "1234341243212143", "1324341223414132", "1234341221434322", "2134341212434321")
logits = st.sampled_from([-100.0, -1.5, 0.25, 0.25000003, 2.0, 100.0])
Vote = tuple[int, str, float]  # question, answer to it, q_halt


@st.composite
def elections(draw: st.DrawFn) -> list[Vote]:
    """Votes on one question or two, with few different answers and confidences, so that ties are the rule."""
    votes = []
    for question in range(draw(st.integers(1, 2))):
        for answer, q_halt in draw(st.lists(st.tuples(st.sampled_from(ANSWERS), logits), min_size=1, max_size=12)):
            votes.append((question, answer, q_halt))
    return votes


def as_grids(texts: list[str] | tuple[str, ...]) -> Grids:
    return Grids.of([SUDOKU.parse(text) for text in texts], SUDOKU.canvas)


def cast(votes: list[Vote]) -> tuple[PackedGrids, np.ndarray, Bytes, np.ndarray]:
    """The answers as they were given to random copies, with the example, the copy's symmetry and q_halt of each."""
    symmetries = SUDOKU.sample(len(votes), np.random.default_rng(len(votes)))
    answers = SUDOKU.transform(as_grids([answer for _, answer, _ in votes]), symmetries)
    examples = np.array([question for question, _, _ in votes], np.int32)
    return pack(answers), examples, symmetries, np.array([q_halt for _, _, q_halt in votes], np.float32)


def obeys(question: str, answer: str) -> bool:
    """The rules of Sudoku, spelled out for 4 x 4 cells."""
    rows = [answer[start : start + 4] for start in range(0, 16, 4)]
    columns = ["".join(row[column] for row in rows) for column in range(4)]
    boxes = [rows[at][left : left + 2] + rows[at + 1][left : left + 2] for at in (0, 2) for left in (0, 2)]
    kept = all(given in (".", digit) for given, digit in zip(question, answer, strict=True))
    return kept and all(set(unit) == set("1234") for unit in rows + columns + boxes)


def ranked_slowly(votes: list[Vote], question: int, rule: Rule) -> list[str]:
    """The rules as they are stated, with exact sums; `sorted` keeps what ties in the order first seen."""
    logits_of: dict[str, list[np.float32]] = {}
    for of, answer, q_halt in votes:
        if of == question:
            logits_of.setdefault(answer, []).append(np.float32(q_halt))

    def key(answer: str) -> tuple[float, ...]:
        sigmoids = [1 / (1 + math.exp(-q_halt)) for q_halt in logits_of[answer]]
        published = (len(sigmoids), math.fsum(sigmoids) / len(sigmoids))
        first = {
            "votes": published[0],
            "weighted": math.fsum(sigmoids),
            "confidence": float(max(logits_of[answer])),
            "valid": obeys(QUESTIONS[question], answer),
        }
        return (first[rule], *published)

    return sorted(logits_of, key=key, reverse=True)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=60, deadline=None)
@given(election=elections(), truths=st.tuples(st.sampled_from(ANSWERS), st.sampled_from(ANSWERS)))
def test_agrees_with_the_slow_rule(rule: Rule, election: list[Vote], truths: tuple[str, str]) -> None:
    ranking = vote(SUDOKU, as_grids(truths), *cast(election), rule=rule, questions=as_grids(QUESTIONS))
    for row in range(len(ranking)):
        slow = ranked_slowly(election, row, rule)
        assert [SUDOKU.format(ranking.answers.grid(kept)) for kept in ranking.kept(row)] == slow
        assert ranking.truth_ranks[row] == (slow.index(truths[row]) if truths[row] in slow else UNSEEN)


@pytest.mark.parametrize(
    ("rule", "winner"), [("votes", 0), ("weighted", 1), ("confidence", 2), ("valid", 3)], ids=RULES
)
def test_the_rules_differ(rule: Rule, winner: int) -> None:
    answers = [ANSWERS[3], ANSWERS[4], ANSWERS[2], ANSWERS[0]]
    logits_of = ([0.0] * 4, [2.0, 2.0, 2.0], [8.0], [-8.0])
    votes: list[Vote] = [(0, answers[at], q_halt) for at, qs in enumerate(logits_of) for q_halt in qs]
    question = ("12..............",)
    ranking = vote(SUDOKU, as_grids([answers[0]]), *cast(votes), rule=rule, questions=as_grids(question))
    assert SUDOKU.format(ranking.answers.grid(0)) == answers[winner]


@settings(max_examples=60, deadline=None)
@given(election=elections(), data=st.data())
def test_some_votes_count_as_if_there_were_no_others(election: list[Vote], data: st.DataObject) -> None:
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(election), max_size=len(election))))
    firsts = [[of for of, _, _ in election].index(question) for question in {of for of, _, _ in election}]
    keep[firsts] = True
    truths, (answers, examples, symmetries, q_halt) = as_grids(ANSWERS[:2]), cast(election)
    whole = candidates_of(SUDOKU, truths, answers, examples, symmetries, as_grids(QUESTIONS))
    rows = np.flatnonzero(keep)
    few = candidates_of(SUDOKU, truths, answers.take(rows), examples[rows], symmetries[rows], as_grids(QUESTIONS))
    cut = whole.where(keep)
    for name in Candidates.__dataclass_fields__:
        assert getattr(cut, name).tolist() == getattr(few, name).tolist(), name
    for rule in RULES:
        ranks = standing_of(cut, q_halt[rows], rule).truth_ranks(cut)
        assert ranks.tolist() == standing_of(few, q_halt[rows], rule).truth_ranks(few).tolist()


def test_no_rule_tells_a_valid_answer_of_arc() -> None:
    arc = Arc(canvas_size=3)
    grid = Grids(np.zeros((1, 3, 3), np.uint8), np.full((1, 2), 3, np.uint8))
    one = (pack(grid), np.zeros(1, np.int32), arc.identity[None], np.zeros(1, np.float32))
    with pytest.raises(UserError, match="use votes, weighted or confidence"):
        vote(arc, grid, *one, rule="valid", questions=grid)
