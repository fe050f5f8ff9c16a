"""`submission.json` against the rules of the ARC Prize's file, by a checker that knows nothing of our code.

The rules, as the competition states them: an object with every task of the challenges by its id, and no other; for each
a list with one entry for every test input, in order; an entry is an object of `attempt_1` and `attempt_2` and nothing
else; an attempt is a grid, a list of 1 to 30 rows of equal length from 1 to 30, of whole numbers from 0 to 9.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.evaluation.answers import write_answers
from hrm.evaluation.predictions import PackedGrids, pack
from hrm.evaluation.vote import Ranking, vote
from hrm.puzzles import Arc
from hrm.puzzles.base import Grids

TESTS = {"a": 1, "b": 3, "c": 2}
"""The evaluation tasks and their test inputs."""
NO_GRIDS = [
    *(None, 0, "0", {}, [], [[]], [[], []], [0], [[0], [0, 0]], [[0]] * 31, [[0] * 31]),
    *([[10]], [[-1]], [[0.0]], [[True]], [["0"]], [[None]], [[[0]]]),
]


def problems(submission: Any, challenges: dict[str, Any]) -> list[str]:
    """What is wrong with a submission for some challenges, as the JSON files of both hold them."""
    if not isinstance(submission, dict):
        return ["not an object"]
    found = [f"{task}: not a task" for task in submission if task not in challenges]
    for task, challenge in challenges.items():
        entries, wanted = submission.get(task), len(challenge["test"])
        if not isinstance(entries, list) or len(entries) != wanted:
            found.append(f"{task}: not {wanted} entries")
            continue
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict) or sorted(entry) != ["attempt_1", "attempt_2"]:
                found.append(f"{task}[{number}]: not two attempts")
                continue
            found += [f"{task}[{number}].{name}: no grid" for name, grid in entry.items() if not is_grid(grid)]
    return found


def is_grid(grid: Any) -> bool:
    """Whether it is a list of 1 to 30 equally long rows of 1 to 30 colours."""
    if not isinstance(grid, list) or not 1 <= len(grid) <= 30 or not all(isinstance(row, list) for row in grid):
        return False
    widths = {len(row) for row in grid}
    if len(widths) != 1 or not 1 <= widths.pop() <= 30:
        return False
    return all(type(cell) is int and 0 <= cell <= 9 for row in grid for cell in row)


def raw_tasks(folder: Path) -> None:
    """Task files as the ARC Prize has them: a task to train on, three to evaluate on, of grids up to 30 x 30."""
    rng = np.random.default_rng(0)
    for subset, tests in {"training": {"t": 1}, "evaluation": TESTS}.items():
        (folder / subset).mkdir(parents=True)
        for number, (name, count) in enumerate(tests.items()):
            shape = (30, 30) if number == 0 else (2, 3)
            pairs = [{side: rng.integers(0, 10, shape).tolist() for side in ("input", "output")} for _ in range(3)]
            task = {"train": pairs[:2], "test": (pairs * count)[:count]}
            (folder / subset / f"{name}.json").write_text(json.dumps(task))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("arc")
    raw_tasks(folder / "raw/tasks")
    build_dataset(BuildSettings(puzzle=Arc(), sources=["tasks"], variants=1), folder / "raw", folder / "built")
    return open_dataset(folder / "built")


@pytest.fixture(scope="module")
def challenges(dataset: Dataset) -> dict[str, Any]:
    folder = dataset.path.parent / "raw/tasks/evaluation"
    return {file.stem: json.loads(file.read_text()) for file in folder.iterdir()}


def voted(dataset: Dataset, answers: PackedGrids, examples: Sequence[int]) -> Ranking:
    count = len(examples)
    symmetries = dataset.puzzle.sample(count, np.random.default_rng(0))
    rows, logits = np.array(examples, np.int32), np.zeros(count, np.float32)
    return vote(dataset.puzzle, dataset.test.answers, answers, rows, symmetries, logits)


def written(folder: Path, ranking: Ranking, dataset: Dataset) -> Any:
    write_answers(folder / "answers", ranking, dataset)
    return json.loads((folder / "answers/submission.json").read_text())


shapes = st.one_of(st.just((0, 0)), st.sampled_from([(1, 1), (30, 30), (1, 30)]), st.tuples(*[st.integers(1, 30)] * 2))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(predicted=st.lists(st.tuples(st.integers(0, 5), shapes), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_every_submission_is_accepted(
    dataset: Dataset,
    challenges: dict[str, Any],
    tmp_path: Path,
    predicted: list[tuple[int, tuple[int, int]]],
    seed: int,
) -> None:
    """Whatever was predicted: grids of any size, empty ones, nothing for some test inputs or for whole tasks."""
    rng, predicted = np.random.default_rng(seed), sorted(predicted)
    grids = [rng.integers(0, 10, shape).astype(np.uint8) for _, shape in predicted]
    ranking = voted(dataset, pack(Grids.of(grids, (30, 30))), [example for example, _ in predicted])
    submission = written(tmp_path, ranking, dataset)
    assert problems(submission, challenges) == []
    assert list(submission) == sorted(TESTS)


def test_what_a_model_writes_is_accepted(dataset: Dataset, challenges: dict[str, Any], tmp_path: Path) -> None:
    """Cut from canvases of any tokens, the ends of the alphabet included."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 12, (24, 900), dtype=np.uint8)
    tokens[::3] = rng.integers(2, 12, (8, 900))  # all colours: the whole canvas
    tokens[1] = 0
    ranking = voted(dataset, pack(dataset.puzzle.decode(tokens)), np.repeat(np.arange(6), 4).tolist())
    submission = written(tmp_path, ranking, dataset)
    assert problems(submission, challenges) == []
    assert {len(entry["attempt_1"]) for entries in submission.values() for entry in entries} >= {30}


def test_the_truth_is_submitted_as_it_is(dataset: Dataset, challenges: dict[str, Any], tmp_path: Path) -> None:
    truths = dataset.test.answers
    ranking = voted(dataset, pack(truths), list(range(6)))
    undone = dataclasses.replace(ranking, answers=truths, starts=np.arange(7))
    submission = written(tmp_path, undone, dataset)
    for task, challenge in challenges.items():
        assert [entry["attempt_1"] for entry in submission[task]] == [pair["output"] for pair in challenge["test"]]


def test_the_checker_finds_what_is_wrong() -> None:
    challenges = {"a": {"test": [{}, {}]}, "b": {"test": [{}]}}
    entry = {"attempt_1": [[0, 9]], "attempt_2": [[1]] * 30}
    good = {"a": [entry, entry], "b": [entry]}
    assert problems(good, challenges) == []
    assert problems([], challenges) == ["not an object"]
    assert problems({"a": [entry, entry]}, challenges) == ["b: not 1 entries"]
    assert problems({**good, "c": [entry]}, challenges) == ["c: not a task"]
    assert problems({**good, "a": [entry]}, challenges) == ["a: not 2 entries"]
    assert problems({**good, "b": [{"attempt_1": [[0]]}]}, challenges) == ["b[0]: not two attempts"]
    assert problems({**good, "b": [{**entry, "attempt_3": [[0]]}]}, challenges) == ["b[0]: not two attempts"]
    for grid in NO_GRIDS:
        assert problems({**good, "b": [{**entry, "attempt_2": grid}]}, challenges) == ["b[0].attempt_2: no grid"], grid
