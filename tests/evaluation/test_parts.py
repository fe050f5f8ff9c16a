"""Scores of parts of the test puzzles: bands of their ratings, and tasks."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import Answered, answered

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.check import check_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.evaluation.bands import banded, bands
from hrm.evaluation.report_parts import parts
from hrm.evaluation.score import arc_prize, evaluation_scores, pass_at, valid_first_answers, vote_scores
from hrm.evaluation.tasks import Tasks
from hrm.evaluation.vote import UNSEEN
from hrm.puzzles import Arc, Maze, MazeGenerator
from hrm.puzzles.base import Examples, Ints, Sets


@pytest.fixture(scope="module")
def maze(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """25 mazes to test on, of paths of different lengths."""
    folder = tmp_path_factory.mktemp("maze")
    (folder / "raw").mkdir()
    MazeGenerator(size=5, wall_density=(0.3, 0.4), min_path=3, train=5, test=25, seed=1).write(folder / "raw")
    build_dataset(BuildSettings(puzzle=Maze(size=5), sources=["raw"]), folder, folder / "built")
    return open_dataset(folder / "built")


@given(st.lists(st.integers(0, 30) | st.sampled_from([0, 7, 10**6]), min_size=1, max_size=200))
def test_bands_cover_all_ratings_once_and_evenly(values: list[int]) -> None:
    ratings = np.array(values)
    found = bands(ratings)
    counts = [int(((ratings >= first) & (ratings <= last)).sum()) for first, last in found]
    assert sum(counts) == len(ratings), "every rating is in one"
    assert all(first <= last for first, last in found)
    assert all(last < first for (_, last), (first, _) in pairwise(found))
    assert {rating for band in found for rating in band} <= set(values), "a band begins and ends with a rating"
    assert len(found) <= 5
    # None could end before its last rating and have its fifth; the last one takes what is left over.
    for (first, last), count in zip(found[:-1], counts[:-1], strict=True):
        assert count >= len(ratings) / 5
        assert count - (ratings == last).sum() < len(ratings) / 5, first
    assert counts[-1] > len(ratings) / 10


@pytest.mark.parametrize(
    ("ratings", "found"),
    [
        ([3], [(3, 3)]),
        ([0] * 8 + [1, 5], [(0, 0), (1, 5)]),
        ([0] * 9 + [5], [(0, 5)]),
        (list(range(10)), [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]),
    ],
)
def test_bands_of_known_cases(ratings: list[int], found: list[tuple[int, int]]) -> None:
    assert bands(np.array(ratings)) == found


def shares_by_hand(dataset: Dataset, solved: Ints, count: int) -> dict[str, dict[str, float]]:
    """What `banded` should say of the first test puzzles."""
    found = {}
    for first, last in bands(dataset.test.ratings):
        inside = [row for row in range(count) if first <= dataset.test.ratings[row] <= last]
        if inside:
            label = str(first) if first == last else f"{first}-{last}"
            found[label] = {"share": sum(solved[row] for row in inside) / len(inside), "count": len(inside)}
    return found


@pytest.mark.parametrize("count", [25, 7, 1])
def test_the_shares_of_bands(maze: Dataset, count: int) -> None:
    solved = np.random.default_rng(0).random(25) < 0.5
    expected = shares_by_hand(maze, solved, count)
    assert banded(maze, np.arange(count), {"share": solved[:count], "none": None}) == {
        "by_path_length": {label: pytest.approx(band) for label, band in expected.items()}
    }


def test_both_records_have_the_bands_of_a_rated_kind(maze: Dataset) -> None:
    copies = answered(maze, copies=2)
    right = [row % 4 != 1 for row in range(50)]
    scores = evaluation_scores(copies.predictions(right), maze)
    ranking = copies.ranking(right)
    voted = vote_scores(ranking, maze, [1, 2], valid_first_answers(ranking, maze))
    for record, key, total in ((scores, "exact_accuracy", "exact_accuracy"), (voted, "pass@1", "pass@1")):
        of_band = record["by_path_length"].values()
        assert len(of_band) > 2
        assert sum(band["count"] for band in of_band) == 25
        assert sum(band["count"] * band[key] for band in of_band) / 25 == pytest.approx(record[total])
    assert {"valid_accuracy", "exact_accuracy", "count"} == set(next(iter(scores["by_path_length"].values())))
    text = parts(ranking, maze, scores, voted)
    assert text.count("<circle") == 2 * len(voted["by_path_length"]) + 2, "a dot a band and way, and two in the legend"
    assert "Right answers by path length" in text
    for label in voted["by_path_length"]:
        assert f">{label.replace('-', '–')}<" in text
    alone = parts(ranking, maze, scores, {**voted, "votes": 1})
    assert alone.count("<circle") == len(scores["by_path_length"]) + 1
    before = {key: value for key, value in scores.items() if key != "by_path_length"}
    assert parts(ranking, maze, before, {**voted, "votes": 1}) == ""


def test_unrated_kinds_have_no_bands(sudoku_answered: Answered, arc_answered: Answered) -> None:
    for copies, right in ((sudoku_answered, [True] * 6), (arc_answered, [True] * 3)):
        scores = evaluation_scores(copies.predictions(right), copies.dataset)
        assert not [key for key in scores if key.startswith("by_")]


def with_groups(dataset: Dataset, groups: list[int], names: list[str]) -> Dataset:
    """The dataset with its one test example taken as several, of other tasks."""
    test, rows = dataset.test, np.zeros(len(groups), np.int64)
    examples = Examples(test.questions.take(rows), test.answers.take(rows), np.array(groups), np.zeros_like(rows))
    return dataclasses.replace(dataset, test=examples, names=names)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 1, 2, 7, UNSEEN])), min_size=1, max_size=12))
def test_tasks_say_what_both_rules_count(arc_answered: Answered, rows: list[tuple[int, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    groups, ranks = np.array(rows).T
    dataset = with_groups(arc_answered.dataset, groups.tolist(), list("abcde"))
    count = len(rows)
    one = arc_answered.ranking([True] * 3)
    ranking = dataclasses.replace(one, examples=np.arange(count), truth_ranks=ranks)
    tasks = Tasks.of(ranking, dataset)
    assert tasks.names == ["abcde"[group] for group in sorted(set(groups.tolist()))]
    for k in (1, 2, 8, 1000):
        assert np.mean(tasks.pass_ranks_T < k) == pytest.approx(pass_at(k, ranks, groups))
    assert tasks.arc_prize_T.mean() == pytest.approx(arc_prize(ranks, groups))
    table = list(csv.DictReader(io.StringIO(tasks.csv())))
    assert [row["task"] for row in table] == tasks.names
    for row, group in zip(table, sorted(set(groups.tolist())), strict=True):
        mine = ranks[groups == group]
        assert int(row["test_inputs"]) == len(mine)
        assert row["pass_from_k"] == ("" if UNSEEN in mine else str(max(mine) + 1))
        assert float(row["arc_prize"]) == pytest.approx(np.mean(mine < 2), abs=1e-5)


def test_a_task_with_an_unknown_output_is_not_scored(arc_answered: Answered) -> None:
    dataset = with_groups(arc_answered.dataset, [0, 0, 1], ["a", "b"])
    shapes = dataset.test.answers.shapes.copy()
    ranking = dataclasses.replace(
        arc_answered.ranking([True] * 3), examples=np.arange(3), truth_ranks=np.array([0, UNSEEN, 1])
    )
    for unknown, rows in ((1, ["b,1,2,1"]), (2, ["a,2,,0.5"])):
        hidden = shapes.copy()
        hidden[unknown] = 0
        answers = dataclasses.replace(dataset.test.answers, shapes=hidden)
        asked = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, answers=answers))
        assert Tasks.of(ranking, asked).csv().splitlines()[1:] == rows
    answers = dataclasses.replace(dataset.test.answers, shapes=np.zeros_like(shapes))
    asked = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, answers=answers))
    assert Tasks.of(ranking, asked).csv() == "task,test_inputs,pass_from_k,arc_prize\n"


def test_each_task_is_in_the_report(arc: Dataset, arc_answered: Answered) -> None:
    ranking = arc_answered.ranking([True, False, False])
    scores = evaluation_scores(arc_answered.predictions([True, False, False]), arc)
    text = parts(ranking, arc, scores, vote_scores(ranking, arc, [1, 2], None))
    assert "1 task, each by itself" in text
    assert '<th scope="row">bb</th><td>1</td><td>pass@2</td><td>100.0\N{NO-BREAK SPACE}%</td>' in text


def test_the_shares_of_sets(tmp_path: Path) -> None:
    """The column `source` of Sudokus and mazes; over several sources, with the source's name."""
    maze_of = {name: tmp_path / "raw" / name for name in ("one", "two")}
    for number, folder in enumerate(maze_of.values()):
        folder.mkdir(parents=True)
        generator = MazeGenerator(size=5, wall_density=(0.3, 0.4), min_path=3 + number, train=3, test=8, seed=number)
        generator.write(folder)
    table = maze_of["one"] / "test.csv"
    lines = table.read_text().splitlines()
    lines[1:] = [f'"forum, {row % 2}"{line.removeprefix("generated")}' for row, line in enumerate(lines[1:])]
    table.write_text("\n".join(lines) + "\n")
    ratings = [int(line.rsplit(",", 1)[1]) for line in lines[1:]]
    kept = [row % 2 for row, rating in enumerate(ratings) if rating > min(ratings)]
    assert 0 < len(kept) < 8

    for sources, names in (
        (["one"], ["forum; 0", "forum; 1"]),
        (["two"], None),
        (["one", "two"], ["one/forum; 0", "one/forum; 1", "two/generated"]),
    ):
        settings = BuildSettings(puzzle=Maze(size=5), sources=sources, min_rating=min(ratings) + 1)
        build_dataset(settings, tmp_path / "raw", tmp_path / "built")
        dataset = check_dataset(tmp_path / "built")
        if names is None:
            assert dataset.test_sets is None, "one set needs no score of its own"
            assert not (tmp_path / "built/test/sets.npy").exists()
            continue
        assert dataset.test_sets is not None
        assert dataset.test_sets.names == names
        assert dataset.test_sets.members[: len(kept)].tolist() == kept
        assert (dataset.test_sets.members[len(kept) :] == 2).all()

    count = len(dataset.test)
    right = [row % 3 == 0 for row in range(count)]
    copies = answered(dataset, copies=1)
    scores, ranking = evaluation_scores(copies.predictions(right), dataset), copies.ranking(right)
    for number, name in enumerate(names):
        mine = [right[row] for row in range(count) if dataset.test_sets.members[row] == number]
        assert scores["by_set"][name] == {
            "exact_accuracy": pytest.approx(np.mean(mine)),
            "valid_accuracy": pytest.approx(np.mean(mine)),
            "count": len(mine),
        }
    text = parts(ranking, dataset, scores, vote_scores(ranking, dataset, [1], None))
    assert "Right answers by set" in text
    assert '<th scope="row">two/generated</th>' in text


def test_damaged_sets_are_refused(tmp_path: Path) -> None:
    (tmp_path / "raw/one").mkdir(parents=True)
    MazeGenerator(size=5, wall_density=(0.3, 0.4), min_path=3, train=3, test=4, seed=1).write(tmp_path / "raw/one")
    table = tmp_path / "raw/one/test.csv"
    table.write_text(table.read_text().replace("generated", "other", 1))
    build_dataset(BuildSettings(puzzle=Maze(size=5), sources=["one"]), tmp_path / "raw", tmp_path / "built")
    file = tmp_path / "built/test/sets.npy"
    assert np.load(file).tolist() == [0, 1, 1, 1]
    np.save(file, np.array([0, 1, 0, 1]))
    with pytest.raises(UserError, match="digest"):
        check_dataset(tmp_path / "built")
    np.save(file, np.array([0, 1, 2, 1]))
    with pytest.raises(UserError, match="names no set"):
        open_dataset(tmp_path / "built")


def test_sets_of_arc_are_its_sources(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("one/training/t", "one/evaluation/a", "two/evaluation/b", "two/evaluation/c"):
        file = tmp_path / "raw" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        pairs = [{side: rng.integers(0, 10, (2, 2)).tolist() for side in ("input", "output")} for _ in range(3)]
        file.write_text(json.dumps({"train": pairs[:2], "test": pairs[2:]}))
    settings = BuildSettings(puzzle=Arc(canvas_size=3), sources=["one", "two"])
    build_dataset(settings, tmp_path / "raw", tmp_path / "built")
    sets = open_dataset(tmp_path / "built").test_sets
    assert sets is not None
    assert (sets.names, sets.members.tolist()) == (["one", "two"], [0, 1, 1])


def test_pass_at_1_of_a_set_counts_whole_tasks(arc_answered: Answered) -> None:
    """As it does of all: a task of two test inputs, one of them right, is none."""
    dataset = with_groups(arc_answered.dataset, [0, 0, 1, 2], ["a", "b", "c"])
    dataset = dataclasses.replace(dataset, test_sets=Sets(["one", "two"], np.array([0, 0, 0, 1])))
    one = arc_answered.ranking([True] * 3)
    ranking = dataclasses.replace(
        one, examples=np.arange(4), truth_ranks=np.array([0, 1, 0, 0]), num_votes=np.full(4, 3)
    )
    scores = vote_scores(ranking, dataset, [1], None)
    assert scores["by_set"] == {"one": {"pass@1": 0.5, "count": 2}, "two": {"pass@1": 1.0, "count": 1}}
    total = sum(part["pass@1"] * part["count"] for part in scores["by_set"].values())
    assert total / scores["tasks"] == pytest.approx(scores["pass@1"])
