"""`hrm compare`: two runs' answers on the same test puzzles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_run
from made_up import answered

from hrm.cli import main
from hrm.data.dataset import Dataset
from hrm.evaluation.answers import write_answers
from hrm.evaluation.bootstrap import bootstrap
from hrm.evaluation.score import arc_prize, valid_first_answers
from hrm.evaluation.vote import UNSEEN

SUDOKU, ARC = {"kind": "sudoku", "box": [2, 2]}, {"kind": "arc", "canvas_size": 4}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: str, ranks: list[int | None], groups: list[str] | None = None, **entries: list[bool]) -> None:
    """The answers of a run, with the rank of each true answer; of ARC tasks where `groups` names these."""
    (Path(folder) / "answers").mkdir(parents=True)
    answers = [{"group": group, "truth_rank": rank} for group, rank in zip(groups or ranks, ranks, strict=True)]
    for key, values in entries.items():
        answers = [{**answer, key: value} for answer, value in zip(answers, values, strict=True)]
    content = {"format": 1, "puzzle": ARC if groups else SUDOKU, "test_digest": f"{len(ranks)}", "answers": answers}
    (Path(folder) / "answers/answers.json").write_text(json.dumps(content))


def said(capsys: pytest.CaptureFixture[str], *runs: str, status: int = 0) -> list[str]:
    capsys.readouterr()
    assert main(["compare", *runs]) == status
    printed = capsys.readouterr()
    return (printed.err if status else printed.out).splitlines()


def test_puzzles_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    # The last puzzle's first answer is another solution than the known one.
    run("runs/new", [1] * 19 + [None], valid=[True] * 20)
    run("elsewhere/old", [1] * 7 + [2] * 12 + [None], valid=[True] * 7 + [False] * 13)
    low, high = (100 * bound for bound in bootstrap(np.array([0] * 7 + [1] * 13)))
    assert said(capsys, "new", "elsewhere/old") == [
        "new and elsewhere/old on the same 20 test puzzles, after voting",
        "  solved by both                7",
        "  by new alone                 13",
        "  by elsewhere/old alone        0",
        "  by none                       0",
        "new: 100.0% solved (95 % interval 83.9% to 100.0%)",
        "elsewhere/old: 35.0% solved (95 % interval 18.1% to 56.7%)",
        f"difference: +65.0 points (95 % bootstrap interval {low:+.1f} to {high:+.1f})",
        "new is better than elsewhere/old by more than chance: p = 0.00024 (exact two-sided sign test over puzzles, "
        "level 0.05).",
        "solved by new alone, puzzles counted from 0: 7 8 9 10 11 12 13 14 15 16 17 18 19",
    ]
    assert (low, high) == pytest.approx((45, 85), abs=5)


def test_tasks_count_whole_and_in_shares(capsys: pytest.CaptureFixture[str]) -> None:
    groups = ["a", "a", "b", "c"]
    run("runs/one", [1, 2, None, 3], groups)
    run("runs/two", [1, 3, None, 3], groups)
    lines = said(capsys, "one", "two")
    assert lines[:5] == [
        "one and two on the same 3 test tasks, after voting",
        "  solved by both        0",
        "  by one alone          1",
        "  by two alone          0",
        "  by none               2",
    ]
    ranks = np.array([[0, 1, UNSEEN, 2], [0, 2, UNSEEN, 2]])
    scores = [arc_prize(row, np.array([0, 0, 1, 2])) for row in ranks]
    assert lines[8] == f"ARC Prize score: one {scores[0]:.1%}, two {scores[1]:.1%}"
    assert lines[9].startswith("its difference: +16.7 points (95 % bootstrap interval +0.0 to +")
    assert lines[10] == "No more than chance: p = 1 (exact two-sided sign test over tasks, level 0.05)."
    assert lines[11] == "solved by one alone, tasks: a"


def test_what_the_stage_writes_is_what_is_compared(
    place: Path, sudoku: Dataset, arc: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, dataset, right in (
        ("one", sudoku, [True, True, False]),
        ("two", sudoku, [True, False, False]),
        ("task", arc, [True]),
    ):
        ranking = answered(dataset, copies=1).ranking(right)
        valid_E = valid_first_answers(ranking, dataset)
        write_answers(place / "runs" / name / "answers", ranking, dataset, valid_E)
    lines = said(capsys, "one", "two")
    assert "  by one alone          1" in lines
    assert lines[-1] == "solved by one alone, puzzles counted from 0: 1"
    assert said(capsys, "two", "two")[7:] == [
        "difference: +0.0 points (none in any puzzle)",
        "No more than chance: p = 1 (exact two-sided sign test over puzzles, level 0.05).",
    ]
    assert "task: 100.0% solved (95 % interval 20.7% to 100.0%)" in said(capsys, "task", "task")
    (message,) = said(capsys, "one", "task", status=2)
    assert "one and task were tested on different puzzles" in message


def test_other_test_puzzles_cannot_be_compared(
    place: Path, sudoku: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = small_run.sudoku_dataset(tmp_path / "other", [small_run.SOLVED[0], *small_run.SOLVED[2:]])
    for name, dataset in (("one", sudoku), ("two", other)):
        write_answers(place / "runs" / name / "answers", answered(dataset, copies=1).ranking([True] * 3), dataset)
    (message,) = said(capsys, "one", "two", status=2)
    assert "different puzzles, which cannot be compared" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "chess/answers/answers.json: no such file; run `hrm vote` for it"),
        ("{}", "answers, puzzle, test_digest missing; run `hrm vote` for it"),
        ('{"puzzle": {"kind": "chess"}, "test_digest": "3", "answers": []}', "chess"),
        (json.dumps({"puzzle": SUDOKU, "test_digest": "3", "answers": []}), "no answers; run `hrm vote` for it"),
        (json.dumps({"puzzle": SUDOKU, "test_digest": "3", "answers": [3]}), "damaged; run `hrm vote` for it"),
        (json.dumps({"puzzle": SUDOKU, "test_digest": "3", "answers": [{}]}), "damaged; run `hrm vote` for it"),
    ],
)
def test_a_mistake_is_one_line(content: str | None, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("runs/one", [1, 1, None])
    if content is not None:
        Path("chess/answers").mkdir(parents=True)
        Path("chess/answers/answers.json").write_text(content)
    (message,) = said(capsys, "one", "chess", status=2)
    assert message.startswith("hrm: error: ")
    assert part in message


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_reads_the_end(unbuffered: str) -> None:
    """As after `| head`: no complaint, and the status that others have then."""
    run("one", [1, 2])
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "hrm", "compare", "one", "one"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("rank", [10**400, -3, True, 1.5, "1", {}])
def test_a_rank_that_is_none(rank: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run("one", [1, 2])
    run("other", [1, rank])
    (line,) = said(capsys, "one", "other", status=2)
    assert line == "hrm: error: other/answers/answers.json: damaged; run `hrm vote` for it"


def test_a_name_that_cannot_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run("one", [1, 2], ["a", "b"])
    run("other", [1, 2], ["a", "\ud800"])
    (line,) = said(capsys, "one", "other", status=2)
    assert "damaged" in line


def test_answers_that_are_not_of_the_same_puzzles(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever their digest says."""
    run("one", [1, 2])
    run("other", [1, 2, 1])
    file = Path("other/answers/answers.json")
    file.write_text(file.read_text().replace('"test_digest": "3"', '"test_digest": "2"'))
    (line,) = said(capsys, "one", "other", status=2)
    assert "one and other were tested on different puzzles" in line


def test_a_run_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    run("one", [1, 2])
    (line,) = said(capsys, "one", "other", status=2)
    assert line == "hrm: error: other/answers/answers.json: no such file; run `hrm vote` for it first"
