"""Voting: the published fixture, and agreement with the rule written down as slowly and plainly as it is stated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.evaluation import candidates as candidates_module
from hrm.evaluation.predictions import PackedGrids, pack
from hrm.evaluation.score import arc_prize, pass_at
from hrm.evaluation.vote import UNSEEN, Ranking, vote
from hrm.puzzles.arc import Arc, parse_variant_name
from hrm.puzzles.base import Bytes, Grids

FIXTURE = Path(__file__).parents[1] / "fixtures/arc/arc_voting.npz"
Grid = tuple[tuple[int, ...], ...]
Case = tuple[int, Bytes, Grid, float]  # example, symmetry, answer mapped back, q_halt


def test_published_fixture_gives_the_published_scores() -> None:
    arc = Arc()
    with np.load(FIXTURE, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    expected = json.loads(bytes(data["expected"]).decode())
    named = [parse_variant_name(str(data["identifiers"][puzzle_id])) for puzzle_id in data["puzzle_identifiers"]]
    tasks = [task for task, _ in named]
    symmetries = np.stack([symmetry for _, symmetry in named])

    # A prediction belongs to the original test input that it is a variant of.
    undo = arc.inverse(symmetries)
    questions = arc.transform(arc.decode(data["inputs"]), undo)
    truths = arc.transform(arc.decode(data["labels"]), undo)
    keys = [(task, questions.grid(row).tobytes()) for row, task in enumerate(tasks)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    examples = np.array([numbers[key] for key in keys], np.int32)
    of_example = np.array([keys.index(key) for key in numbers])
    order = np.argsort(examples, kind="stable")

    ranking = vote(
        arc,
        truths.take(of_example),
        pack(arc.decode(data["predictions"]).take(order)),
        examples[order],
        symmetries[order],
        data["q_halt_logits"][order],
    )
    groups = np.unique([task for task, _ in numbers], return_inverse=True)[1]
    for key, per_cent in expected.items():
        k = int(key.removeprefix("pass@"))
        assert round(100 * pass_at(k, ranking.truth_ranks, groups), 2) == per_cent


def test_tasks_count_whole_for_pass_at_k_and_in_shares_for_the_arc_prize() -> None:
    ranks = np.array([0, 1, 2, 0, UNSEEN])
    groups = np.array([0, 0, 1, 1, 2])
    assert pass_at(1, ranks, groups) == 0
    assert pass_at(2, ranks, groups) == pytest.approx(1 / 3)
    assert pass_at(3, ranks, groups) == pytest.approx(2 / 3)
    assert pass_at(10**6, ranks, groups) == pytest.approx(2 / 3)
    assert arc_prize(ranks, groups) == pytest.approx((1 + 0.5 + 0) / 3)


grids = st.sampled_from([(), ((0,),), ((0, 0),), ((0,), (0,)), ((1, 0),), ((1, 2), (2, 1))])
logits = st.sampled_from([-100.0, -1.5, 0.25, 0.25000003, 2.0, 100.0])


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[Case], list[Grid]]:
    """A few examples with few different answers and confidences, so that ties are the rule."""
    num_examples = draw(st.integers(1, 4))
    truths = draw(st.lists(grids.filter(bool), min_size=num_examples, max_size=num_examples))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cases = []
    for example in range(num_examples):
        for answer, q_halt in draw(st.lists(st.tuples(grids, logits), min_size=1, max_size=12)):
            cases.append((example, Arc().sample(1, rng)[0], answer, q_halt))
    return cases, truths


def as_grids(values: list[Grid]) -> Grids:
    cells = np.zeros((len(values), 3, 3), np.uint8)
    shapes = np.zeros((len(values), 2), np.uint8)
    for row, value in enumerate(values):
        shapes[row] = np.array(value).shape if value else (0, 0)
        cells[row, : shapes[row][0], : shapes[row][1]] = value if value else np.zeros((0, 0))
    return Grids(cells, shapes)


def ranked_slowly(cases: list[Case], example: int) -> list[tuple[Grid, int, float]]:
    """The rule as it is stated, with exact sums."""
    logits_of: dict[Grid, list[float]] = {}
    for of, _, answer, q_halt in cases:
        if of == example:
            logits_of.setdefault(answer, []).append(1 / (1 + math.exp(-np.float32(q_halt))))
    candidates = [(answer, len(qs), math.fsum(qs) / len(qs)) for answer, qs in logits_of.items()]
    return sorted(candidates, key=lambda candidate: candidate[1:], reverse=True)


def cast(cases: list[Case], truths: list[Grid], keep: int = 10) -> Ranking:
    arc = Arc(canvas_size=3)
    symmetries = np.stack([symmetry for _, symmetry, _, _ in cases])
    answers = arc.transform(as_grids([answer for _, _, answer, _ in cases]), symmetries)
    examples = np.array([example for example, _, _, _ in cases], np.int32)
    q_halt = np.array([q_halt for _, _, _, q_halt in cases], np.float32)
    return vote(arc, as_grids(truths), pack(answers), examples, symmetries, q_halt, keep=keep)


@given(elections())
def test_agrees_with_the_slow_rule(election: tuple[list[Case], list[Grid]]) -> None:
    cases, truths = election
    ranking = cast(cases, truths)
    assert ranking.examples.tolist() == list(range(len(truths)))
    for row, truth in enumerate(truths):
        slow = ranked_slowly(cases, row)
        kept = list(ranking.kept(row))
        assert [tuple(map(tuple, ranking.answers.grid(at).tolist())) for at in kept] == [grid for grid, _, _ in slow]
        assert ranking.votes[kept].tolist() == [votes for _, votes, _ in slow]
        assert ranking.confidences[kept] == pytest.approx([q for _, _, q in slow], abs=1e-9)
        places = [place for place, (grid, _, _) in enumerate(slow) if grid == truth]
        assert ranking.truth_ranks[row] == (places[0] if places else UNSEEN)
        assert ranking.num_candidates[row] == len(slow)
        assert ranking.num_votes[row] == sum(votes for _, votes, _ in slow)


@settings(max_examples=30)
@given(elections(), st.integers(1, 4), st.integers(1, 5))
def test_chunks_and_kept_candidates_change_no_rank(
    election: tuple[list[Case], list[Grid]], keep: int, chunk: int
) -> None:
    cases, truths = election
    whole = cast(cases, truths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates_module, "_CHUNK", chunk)
        cut = cast(cases, truths, keep=keep)
    assert cut.truth_ranks.tolist() == whole.truth_ranks.tolist()
    assert cut.num_candidates.tolist() == whole.num_candidates.tolist()
    for row in range(len(truths)):
        assert cut.votes[list(cut.kept(row))].tolist() == whole.votes[list(whole.kept(row))][:keep].tolist()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_packed_grids_unpack_to_what_they_were(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = rng.integers(0, 6, (count, 2)).astype(np.uint8)
    cells = np.zeros((count, 5, 6), np.uint8)
    for row, (height, width) in enumerate(shapes.tolist()):
        cells[row, :height, :width] = rng.integers(0, 256, (height, width))
    packed = pack(Grids(cells, shapes))
    assert isinstance(packed, PackedGrids)
    assert len(packed.cells) == shapes.astype(int).prod(axis=1).sum()
    start = int(rng.integers(0, count))
    assert (packed.unpack(slice(start, None)).cells == cells[start:]).all()
