"""New tasks from files: each form the ARC Prize gives, mistakes by place, and no way for an answer to be learned."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.check import check_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.new_tasks import build_new_tasks, known_answers, read_new_tasks, trained_already
from hrm.errors import UserError
from hrm.puzzles import Arc

ARC = Arc(canvas_size=4)


def task(seed: int, *, size: int = 3, tests: int = 1, answers: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pairs = [{side: rng.integers(0, 10, (size, 2)).tolist() for side in ("input", "output")} for _ in range(2 + tests)]
    asked = pairs[2:] if answers else [{"input": pair["input"]} for pair in pairs[2:]]
    return {"train": pairs[:2], "test": asked}


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def built(folder: Path, *paths: Path, variants: int = 5) -> Dataset:
    return build_new_tasks(ARC, read_new_tasks(ARC, paths), folder, variants=variants, seed=0)


def test_files_folders_and_files_of_many_tasks(tmp_path: Path) -> None:
    write(tmp_path / "tasks/b.json", task(1))
    write(tmp_path / "tasks/deeper/a.json", task(2, tests=2))
    many = write(tmp_path / "arc-agi_test_challenges.json", {"c": task(3, answers=False), "d": task(4, answers=False)})
    data = built(tmp_path / "dataset", tmp_path / "tasks", many)
    assert list(data.names) == ["b", "a", "c", "d"]
    assert data.test.groups.tolist() == [0, 1, 1, 2, 3]
    assert data.train.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data.num_puzzle_ids == 1 + 4 * 6
    assert known_answers(data).tolist() == [True] * 3 + [False] * 2
    check_dataset(built(tmp_path / "answered", tmp_path / "tasks").path)


def test_a_task_is_scored_only_when_all_its_outputs_are_known(tmp_path: Path) -> None:
    content = task(1, tests=2)
    content["test"][1]["output"] = None
    data = built(tmp_path / "dataset", write(tmp_path / "a.json", content), write(tmp_path / "b.json", task(2)))
    assert known_answers(data).tolist() == [False, False, True]


def test_what_is_learned_from_does_not_depend_on_the_outputs_asked_for(tmp_path: Path) -> None:
    """Also for a task whose demonstrations are so symmetric that its variants differ in the test's output alone."""
    square = [[1, 0], [0, 1]]
    symmetric = {"train": [{"input": square, "output": square}], "test": [{"input": square, "output": [[2, 3]]}]}
    without = {**symmetric, "test": [{"input": square}]}
    with_answers = built(tmp_path / "one", write(tmp_path / "1/a.json", symmetric), variants=100)
    asked = built(tmp_path / "other", write(tmp_path / "2/a.json", without), variants=100)
    assert np.array_equal(with_answers.symmetries, asked.symmetries)
    assert len(asked.symmetries) < 20
    for side in ("questions", "answers"):
        assert np.array_equal(getattr(with_answers.train, side).cells, getattr(asked.train, side).cells)


def test_too_large_tasks_are_named(tmp_path: Path) -> None:
    write(tmp_path / "tasks/fits.json", task(1, size=4))
    write(tmp_path / "tasks/large.json", task(2, size=5))
    read = read_new_tasks(ARC, [tmp_path / "tasks"])
    assert (list(read.fitting), list(read.too_large)) == (["fits"], ["large"])
    with pytest.raises(UserError, match=r"large\.json: no task fits the model's canvas of 4 x 4"):
        read_new_tasks(ARC, [tmp_path / "tasks/large.json"])


def spoil(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    content = task(1)
    change(content)
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (spoil(lambda c: c["train"][1]["output"][2].append(10)), r"x\.json: train\[1\]\.output: row 2 has 3 cells"),
        (
            spoil(lambda c: c["train"][1]["output"][0].__setitem__(0, 10)),
            r"x\.json.*\.output: row 0, column 0: colour 10",
        ),
        (spoil(lambda c: c["test"][0]["input"][0].append(1)), r"x\.json: test\[0\]\.input: row 1 has 2 cells"),
        (spoil(lambda c: c["train"][0].pop("output")), r"x\.json: train\[0\]: key output is missing"),
        (spoil(lambda c: c["test"][0].pop("input")), r"x\.json: test\[0\]: key input is missing"),
        (spoil(lambda c: c.pop("test")), r"x\.json: key test is missing"),
        ({"train": [], "test": []}, r"x\.json: train: expected a list of at least one pair"),
        ({"one": task(1), "two": {"train": task(1)["train"]}}, r"x\.json: two: key test is missing"),
        ([], r"x\.json: expected an object"),
        ({}, r"x\.json: key train is missing"),
        ({"bell\a": task(1)}, r"x\.json.*not printable"),
        (task(1, size=31), r"x\.json: train\[0\]\.input: 31 rows of 2 cells; expected 1 to 30"),
    ],
)
def test_a_mistake_is_named_by_its_place(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_new_tasks(ARC, [write(tmp_path / "x.json", content)])


def test_what_is_no_task_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        read_new_tasks(ARC, [tmp_path / "none.json"])
    with pytest.raises(UserError, match="no task files"):
        read_new_tasks(ARC, [tmp_path])
    first, second = write(tmp_path / "1/a.json", task(1)), write(tmp_path / "2/a.json", task(2))
    with pytest.raises(UserError, match=r"2/a\.json: .*1/a\.json has a task of the same name, a"):
        read_new_tasks(ARC, [first, second])


def test_a_task_that_was_trained_on_is_recognised_by_its_demonstrations(tmp_path: Path) -> None:
    for name, seed in {"training/old": 1, "evaluation/other": 2}.items():
        write(tmp_path / f"raw/source/{name}.json", task(seed))
    build_dataset(BuildSettings(puzzle=ARC, sources=["source"]), tmp_path / "raw", tmp_path / "trained")
    half = {**task(1), "train": [task(1)["train"][0], task(9)["train"][0]]}
    for name, content in {"renamed": task(1, answers=False), "old": task(3), "half": half}.items():
        write(tmp_path / f"new/{name}.json", content)
    new = built(tmp_path / "dataset", tmp_path / "new")
    assert trained_already(new, open_dataset(tmp_path / "trained")) == {"renamed": "old"}
