"""The whole chain as a user runs it: `dvc repro` in a clone, on small experiments of all three kinds."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
MODEL = {"hidden": 16, "heads": 2, "H_layers": 1, "L_layers": 1, "halt_max_steps": 2}
TRAIN = {"model": MODEL, "batch_size": 16, "epochs": 1, "eval_every": 1, "eval_puzzles": 8}
KINDS = ("sudoku", "maze", "arc")


def small_params() -> dict[str, object]:
    """The demo's experiments made smaller: the same sources and kinds, a few seconds of work."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    experiments, sources = params["experiments"], params["sources"]
    for kind in KINDS:
        name = f"{kind}-mini"
        experiments[name]["train"] = TRAIN
        experiments[name]["evaluate"] = {"copies": 2, "max_puzzles": 6}
        for source in experiments[name]["build"]["sources"]:
            if "generator" in sources[source]:
                sources[source]["generator"] |= {"train": 24, "test": 12}
    experiments["arc-mini"]["build"] |= {"subsample": 20, "variants": 2}
    return params


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the smaller experiments, in which `dvc repro` has run once."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("hrm", ".dvc", ".dvcignore", ".gitignore", "dvc.yaml"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        run(folder, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command)
    run(folder, SCRIPTS / "dvc", "repro")
    return folder


def run(folder: Path, *command: str | Path) -> str:
    """What a command prints; it must succeed."""
    # The clone's own code comes first, as in a clone with its own environment.
    environment = os.environ | {
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "DVC_NO_ANALYTICS": "1",
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def test_the_second_repro_does_nothing(clone: Path) -> None:
    assert "Data and pipelines are up to date" in run(clone, SCRIPTS / "dvc", "repro")


def test_git_sees_nothing_but_the_lock(clone: Path) -> None:
    assert run(clone, "git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_metrics_plots_and_graph_say_something(clone: Path) -> None:
    metrics = run(clone, SCRIPTS / "dvc", "metrics", "show")
    assert all(word in metrics for word in ("sudoku-mini", "exact_accuracy", "pass@2"))
    assert "vote@arc-mini" in run(clone, SCRIPTS / "dvc", "dag")
    run(clone, SCRIPTS / "dvc", "plots", "show")
    page = (clone / "dvc_plots/index.html").read_text()
    assert "maze-mini, exact accuracy" in page


def test_a_voting_setting_reruns_voting_and_registration_only(clone: Path) -> None:
    params = yaml.safe_load((clone / "params.yaml").read_text())
    before = (clone / "params.yaml").read_text()
    params["experiments"]["maze-mini"]["vote"] = {"max_copies": 1}
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        printed = run(clone, SCRIPTS / "dvc", "repro")
    finally:
        (clone / "params.yaml").write_text(before)
    stages = [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]
    assert stages == ["vote@maze-mini", "register@maze-mini"]


def test_an_experiment_overrides_any_setting(clone: Path) -> None:
    """`dvc exp run -S` chooses the experiments and their settings; the workspace then holds what it made."""
    arguments = ["-S", "run=[sudoku-mini]", "-S", "experiments.sudoku-mini.evaluate.max_puzzles=4"]
    run(clone, "git", "add", "dvc.lock")
    run(clone, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "lock")
    run(clone, SCRIPTS / "dvc", "exp", "run", *arguments)
    assert json.loads((clone / "runs/sudoku-mini/evaluate.json").read_text())["count"] == 4


def test_a_fresh_process_solves_a_puzzle_from_the_registry(clone: Path, tmp_path: Path) -> None:
    """Elsewhere, and without the project on the path: the model brings all it needs."""
    code = (
        "import mlflow, pandas; model = mlflow.pyfunc.load_model('models:/sudoku-mini@champion')\n"
        "print(model.predict(pandas.DataFrame({'puzzle': ['1.3.' * 4]}))['answer'][0])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{clone}/mlflow.db"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()[-1]) == 16
