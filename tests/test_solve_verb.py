"""`hrm solve`, as somebody uses it who wants one puzzle solved."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import small_run

from hrm.cli import main
from hrm.config import HaltingSettings, RegisterSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.puzzles import Maze, PuzzleKind, Sudoku
from hrm.serving.questions import questions_in
from hrm.stages.register import register


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished runs of two kinds, and their datasets."""
    folder = tmp_path_factory.mktemp("solve")
    sudoku, arc = small_run.sudoku_dataset(folder / "of-sudoku"), small_run.arc_dataset(folder / "of-arc")
    (folder / "data/built").mkdir(parents=True)
    sudoku.path.rename(folder / "data/built/small")
    arc.path.rename(folder / "data/built/tasks")
    small_run.finished_run(folder / "runs/small", open_at(folder, "small"), steps=150)
    settings = small_run.SETTINGS.model_copy(update={"halting": HaltingSettings(max_steps=1)})
    small_run.finished_run(folder / "runs/tasks", open_at(folder, "tasks"), settings)
    return folder


def open_at(folder: Path, name: str) -> Dataset:
    return open_dataset(folder / "data/built" / name)


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def question(place: Path) -> str:
    """A puzzle that the model knows by heart."""
    dataset = open_at(place, "small")
    return dataset.puzzle.format(dataset.train.questions.grid(0))


DRAWN = """\
1 2 | 3 4
3 4 | 1 2
----+-----
2 1 | 4 3
4 3 | 2 1
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["solve", *arguments]) == 0
    output = capsys.readouterr()
    assert not output.err
    return output.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["solve", *arguments]) == 2
    output = capsys.readouterr()
    assert not output.out
    (line,) = output.err.splitlines()
    return line.removeprefix("hrm: error: ")


def test_an_answer_is_drawn_and_judged(here: Path, question: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "small", question)
    assert out.startswith(DRAWN)
    assert out.splitlines()[-2].startswith("solved (confidence 0.")
    assert "2 segments" in out


@pytest.mark.parametrize(
    "model", ["small", "runs/small", "runs/small/checkpoints", "runs/small/checkpoints/step-00000150"]
)
def test_a_model_is_found_by_its_folder_or_name(
    model: str, here: Path, question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, model, question).startswith(DRAWN)


def test_puzzles_come_from_a_file_or_standard_input(
    here: Path, question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "puzzles.txt"
    rows = "\n".join(question[start : start + 4] for start in range(0, 16, 4))
    for text, count in ((question, 1), (rows, 1), (f"{question}\n{question}\n", 2), (f"{rows}\n\n{rows}\n", 2)):
        file.write_text(text)
        assert said(capsys, "small", str(file)).count(DRAWN) == count
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert said(capsys, "small", "-").count(DRAWN) == count


def test_programs_get_an_object_a_puzzle(here: Path, question: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = json.loads(said(capsys, "small", question, "--json", "--votes", "4", "--steps", "3"))
    assert list(one) == ["puzzle", "answer", "valid", "confidence", "steps", "seconds"]
    assert (one["puzzle"], one["steps"]) == (question, 3)
    traced = json.loads(said(capsys, "small", question, "--json", "--trace", "--steps", "5"))
    assert [segment["steps"] for segment in traced["trace"]] == [1, 2, 3, 4, 5]
    assert traced["trace"][-1]["answer"] == traced["answer"]


def test_a_trace_marks_what_changed(here: Path, question: str, capsys: pytest.CaptureFixture[str]) -> None:
    segments = json.loads(said(capsys, "small", question, "--json", "--trace"))["trace"]
    out = said(capsys, "small", question, "--trace")
    before = question
    for segment in segments:
        changed = sum(old != new for old, new in zip(before, segment["answer"], strict=True))
        title, *rest = out.split(f"segment {segment['steps']}: ")[1].split("segment ")[0].splitlines()
        assert title.startswith(f"{changed} cell{'s' * (changed != 1)} changed, confidence 0.")
        assert "".join(rest).count("*") == changed
        before = segment["answer"]


def test_a_wrong_answer_is_called_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "small", "11..............")
    assert out.splitlines()[-2].startswith("NOT SOLVED: the givens of the question contradict each other (confidence")
    assert json.loads(said(capsys, "small", "11..............", "--json"))["valid"] is False


def test_an_arc_model_answers_for_a_task(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "tasks", "[[1,2],[3,4]]", "--task", "bb", "--votes", "3")
    assert "answered; no rule tells whether it is right" in out
    assert json.loads(said(capsys, "tasks", "[[1,2],[3,4]]", "--task", "bb", "--json"))["valid"] is None
    assert refused(capsys, "tasks", "[[1]]") == "--task: a model of the kind arc needs the task that the puzzle is of"
    assert "task 'zz' is not one" in refused(capsys, "tasks", "[[1]]", "--task", "zz")
    assert "data/built/checkpoints" not in refused(capsys, "tasks", "[[1]]", "--task", "zz")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["small", "12"], "PUZZLE: 2 cells instead of 16"),
        (["small", "9" * 16], "PUZZLE: '9' is no cell of a Sudoku"),
        (["small", "x" * 5000], "PUZZLE: 'x' is no cell"),
        (["small", "\0"], "PUZZLE: '\\x00' is no cell"),
        (["small", ""], "PUZZLE: 0 cells"),
        (["small", "." * 16, "--votes", "0"], "--votes = 0: expected a whole number from 1 to 1000"),
        (["small", "." * 16, "--steps", "257"], "--steps = 257: expected a whole number from 1 to 256"),
        (["small", "." * 16, "--rule", "best"], "--rule = best: expected one of votes, weighted, confidence, valid"),
        (
            ["tasks", "[[1]]", "--task", "bb", "--rule", "valid"],
            "--rule = valid: expected one of votes, weighted, conf",
        ),
        (["small", "." * 16, "--trace", "--votes", "2"], "--trace follows one copy"),
        (["small", "." * 16, "--task", "a"], "--task: a model of the kind sudoku knows no tasks"),
        (["chess", "." * 16], "chess: no such folder, and no such run in runs/"),
        (["data", "." * 16], "data: no checkpoint here"),
        (["small", "runs/small/checkpoints/step-00000150/model.safetensors"], "model.safetensors: not a text file"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], reason: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(capsys, *arguments)


def test_a_damaged_checkpoint_is_one_line(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "step-1"
    (here / "runs/small/checkpoints/step-00000150").rename(folder)
    try:
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:-1])
        assert "damaged" in refused(capsys, str(folder), "." * 16)
        (folder / "model.safetensors").write_bytes(weights)
    finally:
        folder.rename(here / "runs/small/checkpoints/step-00000150")


def test_a_registered_model_solves(
    place: Path, question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an ARC model, which brings the names of its tasks along. Code that lies beside the weights is not run."""
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)
    for name in ("small", "tasks"):
        register(RegisterSettings(description="Small."), place / "data/built" / name, place / "runs" / name, name)
    capsys.readouterr()
    for file in (tmp_path / "mlruns").rglob("*.py"):
        file.write_text("raise AssertionError('this is run')\n")
    assert said(capsys, "models:/small@champion", question).startswith(DRAWN)
    assert "answered" in said(capsys, "models:/tasks/1", "[[1,2],[3,4]]", "--task", "bb", "--votes", "3")
    assert "is needed to load models:/small@best" in refused(capsys, "models:/small@best", question)


@pytest.mark.parametrize(("variable", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals_that_want_them(
    place: Path, question: str, variable: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "", **variable}
    command = [sys.executable, "-m", "hrm", "solve", "small", question]
    subprocess.run(command, cwd=place, env=environment, stdout=theirs, check=True)
    os.close(theirs)
    output = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert ("\x1b[" in output) == coloured
    assert "solved (confidence" in output


@pytest.mark.parametrize(
    ("puzzle", "text", "found"),
    [
        (Maze(size=2), "SG\n##", 1),
        (Maze(size=2), "SG##\nS G#\n", 2),
        (Maze(size=2), "SG\n##\n\nS \n G\n", 2),
        (Sudoku(box=(2, 2)), "....|....\n----+----\n....|....\n", 1),
    ],
)
def test_puzzles_are_told_apart(puzzle: PuzzleKind, text: str, found: int) -> None:
    assert len(questions_in(puzzle, text, "file")) == found


def test_the_wrong_one_of_several_is_named() -> None:
    with pytest.raises(UserError, match=r"^file: puzzle 2 of 3: 3 cells instead of 16$"):
        questions_in(Sudoku(box=(2, 2)), f"{'.' * 16}\n...\n{'.' * 16}\n", "file")
