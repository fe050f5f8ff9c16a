"""A new kind of puzzle is one more file and its name in the list of kinds; every stage then works with it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = """
from pathlib import Path
import hrm
from hrm.config import BuildSettings, EvaluateSettings, ModelSettings, TrainSettings, VoteSettings
from hrm.stages.build import build
from hrm.stages.evaluate import evaluate
from hrm.stages.train import train
from hrm.stages.vote import vote

dataset, run = Path("built"), Path("run")
build(BuildSettings(puzzle={"kind": "opposite"}, sources=["bits"], variants=1), Path("raw"), dataset)
model = ModelSettings(hidden=16, heads=2, H_layers=1, L_layers=1)
settings = TrainSettings(model=model, batch_size=4, epochs=4, eval_every=4, processes=1, compile=False)
train(settings, dataset, run, "bits")
evaluate(EvaluateSettings(copies=2), dataset, run / "checkpoints", run)
vote(VoteSettings(), dataset, run, "bits")
print(hrm.__file__)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package that knows one kind more."""
    shutil.copytree(ROOT / "hrm", tmp_path / "hrm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests/toy_kind.py", tmp_path / "hrm/puzzles/opposite.py")
    file = tmp_path / "hrm/puzzles/__init__.py"
    text = file.read_text()
    assert text.count("Arc | Sudoku | Maze") == 1
    text = text.replace("Arc | Sudoku | Maze", "Arc | Sudoku | Maze | Opposite")
    file.write_text(
        text.replace(
            "from hrm.puzzles.maze import", "from hrm.puzzles.opposite import Opposite\nfrom hrm.puzzles.maze import"
        )
    )
    (tmp_path / "raw/bits").mkdir(parents=True)
    (tmp_path / "raw/bits/train.txt").write_text("0000\n0001\n0110\n1010\n")
    (tmp_path / "raw/bits/test.txt").write_text("0011\n1111\n")
    return tmp_path


def test_a_new_kind_goes_through_every_stage(package: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"  # nobody is there, and training does not mind
    command = [sys.executable, "-c", STAGES]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(package)

    run = package / "run"
    assert json.loads((package / "built/dataset.json").read_text())["puzzle"] == {"kind": "opposite"}
    assert json.loads((run / "train.json").read_text())["steps"] > 0
    assert json.loads((run / "evaluate.json").read_text())["count"] == 2
    scores = json.loads((run / "vote.json").read_text())
    assert (scores["tasks"], scores["votes"]) == (2, 2)
    assert {"valid@1", "arc_prize"} <= scores.keys(), "the kind says how it is scored"
    assert list(json.loads((run / "answers/submission.json").read_text())) == ["bits-4", "bits-5"]
    assert "Opposites &amp; co on a canvas of 2 × 2 cells." in (run / "report.html").read_text()
