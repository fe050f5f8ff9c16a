"""The whole chain as a user runs it: `dvc repro` in a clone, on small experiments of all three kinds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_clone import KINDS, run, start

from hrm.data.dataset import open_dataset
from hrm.serving.solve import solve_puzzles
from hrm.training.card import load_model


def test_every_artifact_is_there(clone: Path) -> None:
    for kind in KINDS:
        folder = clone / "runs" / f"{kind}-mini"
        scores = json.loads((folder / "evaluate.json").read_text())
        assert 0 <= scores["exact_accuracy"] <= 1
        assert json.loads((folder / "vote.json").read_text()).keys() >= {"pass@1", "pass@2", "pass@10", "pass@1000"}
        assert "<svg" in (folder / "report.html").read_text()
        assert json.loads((folder / "registration.json").read_text())["name"] == f"{kind}-mini"
        assert (clone / "data/built" / f"{kind}-mini/dataset.json").is_file()
    submission = json.loads((clone / "runs/arc-mini/answers/submission.json").read_text())
    assert all(set(entry) == {"attempt_1", "attempt_2"} for task in submission.values() for entry in task)
    assert len(list((clone / "data/raw/arc-agi-1").rglob("*.json"))) == 800


def test_the_scores_are_told_in_a_line_each(clone: Path) -> None:
    lines = run(clone, "hrm", "scores").splitlines()
    assert [line.split()[0] for line in lines] == ["sudoku-mini", "maze-mini", "arc-mini"]
    assert all(re.search(r"% exact of \d test puzzles .* pass@2", line) for line in lines), lines


def test_the_second_repro_does_nothing(clone: Path) -> None:
    assert "Data and pipelines are up to date" in run(clone, "dvc", "repro")


def test_git_sees_nothing_but_the_lock(clone: Path) -> None:
    assert run(clone, "git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_metrics_plots_and_graph_say_something(clone: Path) -> None:
    metrics = run(clone, "dvc", "metrics", "show")
    assert all(word in metrics for word in ("sudoku-mini", "exact_accuracy", "pass@2"))
    assert "vote@arc-mini" in run(clone, "dvc", "dag")
    run(clone, "dvc", "plots", "show")
    page = (clone / "dvc_plots/index.html").read_text()
    assert "maze-mini, exact accuracy" in page


def test_a_voting_setting_reruns_voting_and_registration_only(clone: Path) -> None:
    before = (clone / "params.yaml").read_text()
    params = yaml.safe_load(before)
    params["experiments"]["maze-mini"]["vote"] = {"max_copies": 1}
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        printed = run(clone, "dvc", "repro")
    finally:
        (clone / "params.yaml").write_text(before)
    stages = [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]
    assert stages == ["vote@maze-mini", "register@maze-mini"]


def commit_lock(clone: Path) -> None:
    """`dvc exp run` starts from what is committed."""
    run(clone, "git", "add", "dvc.lock")
    run(clone, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "lock")


def test_an_experiment_overrides_any_setting(clone: Path) -> None:
    """Chosen experiments, a setting in the file, and one that the file leaves out."""
    commit_lock(clone)
    arguments = ["-S", "run=[sudoku-mini]", "-S", "experiments.sudoku-mini.evaluate.max_puzzles=4"]
    run(clone, "dvc", "exp", "run", *arguments, "-S", "+experiments.sudoku-mini.vote.max_copies=1")
    assert json.loads((clone / "runs/sudoku-mini/evaluate.json").read_text())["count"] == 4
    assert json.loads((clone / "runs/sudoku-mini/vote.json").read_text())["votes"] == 1
    run(clone, "git", "checkout", "-q", "params.yaml", "dvc.lock")
    run(clone, "dvc", "checkout", "-q", "--force")


def test_an_interrupted_experiment_goes_on(clone: Path) -> None:
    """DVC puts its own outputs back to what is committed before it runs again; an interrupted training must survive."""
    arguments = ["-S", "run=[sudoku-mini]", "-S", "experiments.sudoku-mini.train.epochs=4000"]
    training = clone / "runs/sudoku-mini/training"
    with start(clone, "dvc", "exp", "run", *arguments) as command:
        until = time.monotonic() + 120
        while len(list(training.glob("step-*"))) < 2 and time.monotonic() < until:
            assert command.poll() is None, command.communicate()
            time.sleep(0.05)
        os.killpg(command.pid, signal.SIGINT)
        command.communicate(timeout=60)
    step = max(int(folder.name.removeprefix("step-")) for folder in training.glob("step-*"))
    with start(clone, "dvc", "exp", "run", *arguments) as again:
        assert again.stderr is not None
        said = next(line for line in again.stderr if "going on from step" in line)
        os.killpg(again.pid, signal.SIGINT)
        again.communicate(timeout=60)
    assert int(said.split("step ")[1].split()[0].replace(",", "")) >= step
    shutil.rmtree(training)
    run(clone, "git", "checkout", "-q", "params.yaml", "dvc.lock")
    run(clone, "dvc", "checkout", "-q", "--force")


def test_a_fresh_process_solves_a_puzzle_from_the_registry(clone: Path, tmp_path: Path) -> None:
    """Elsewhere, and without the project on the path: the model brings all it needs, and answers as it does here."""
    code = (
        "import sys, mlflow, pandas; model = mlflow.pyfunc.load_model('models:/sudoku-mini@champion')\n"
        "answers = model.predict(pandas.DataFrame({'puzzle': sys.argv[1:]}))\n"
        "import hrm; print(hrm.__file__); print(answers.to_json(orient='records'))"
    )
    dataset = open_dataset(clone / "data/built/sudoku-mini")
    questions = [dataset.test.questions.grid(row) for row in range(6)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{clone}/mlflow.db"
    command = [sys.executable, "-c", code, *map(dataset.puzzle.format, questions)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code_file, answers = done.stdout.splitlines()[-2:]
    assert Path(code_file).is_relative_to(clone / "mlruns")
    local = solve_puzzles(load_model(clone / "runs/sudoku-mini/checkpoints"), questions)
    for remote, here in zip(json.loads(answers), local, strict=True):
        assert (remote["answer"], remote["valid"]) == (dataset.puzzle.format(here.answer), here.valid)
        assert remote["confidence"] == pytest.approx(here.confidence, rel=1e-3)
