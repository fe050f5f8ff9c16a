"""A registered model where nothing of this project is: in a fresh environment with its own requirements alone."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import small_run

from hrm.config import EvaluateSettings, RegisterSettings, VoteSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.evaluation.predictions import open_predictions
from hrm.serving.package import requirements
from hrm.stages.evaluate import evaluate
from hrm.stages.register import register
from hrm.stages.vote import vote
from hrm.tracking.server import resolved_uri

pytestmark = pytest.mark.services

MODEL = "models:/small@champion"
STRANGER = """
import importlib.util, json, sys
assert importlib.util.find_spec("hrm") is None, "this environment is not fresh"
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = model.predict(pandas.DataFrame({"puzzle": json.load(sys.stdin)}))
import hrm
print(json.dumps({"code": hrm.__file__, **answers.to_dict(orient="list")}))
"""


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a dataset, an evaluated run on it, and the registry with its model."""
    relabelled = [str.maketrans("1234", "".join(order)) for order in itertools.permutations("1234")]
    tests = [solved.translate(table) for solved in small_run.SOLVED for table in relabelled]
    dataset = small_run.sudoku_dataset(tmp_path, tests)
    run = small_run.finished_run(tmp_path / "runs/small", dataset, steps=60)
    evaluate(EvaluateSettings(copies=1), dataset.path, run / "checkpoints", run)
    vote(VoteSettings(), dataset.path, run, "small")
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)
    register(RegisterSettings(description="Solves small Sudokus."), dataset.path, run, "small")
    return tmp_path


@pytest.fixture
def fresh_python(registered: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The interpreter of a new virtual environment, into which the registered model's requirements were installed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin/python"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", resolved_uri())
        wanted = mlflow.pyfunc.get_model_dependencies(MODEL)
        assert Path(wanted).read_text().split() == requirements()
        # Most of what is installed is never imported: no need to compile it.
        flags = ["--quiet", "--disable-pip-version-check", "--no-compile", "--requirement", wanted]
        done = subprocess.run([python, "-m", "pip", "install", *flags], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield python


def test_a_registered_model_answers_as_evaluated(registered: Path, fresh_python: Path) -> None:
    dataset = open_dataset(registered / "built")
    elsewhere = registered / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [fresh_python, "-c", STRANGER, MODEL],
        input=json.dumps([dataset.puzzle.format(dataset.test.questions.grid(row)) for row in range(len(dataset.test))]),
        cwd=elsewhere,
        env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["code"]).is_relative_to(registered / "mlruns")
    _require_same(found, dataset, registered / "runs/small/predictions")


def _require_same(found: dict[str, list[object]], dataset: Dataset, predictions: Path) -> None:
    """The answers, confidences and steps of `hrm evaluate`."""
    expected = open_predictions(predictions, dataset)
    answers = expected.answers.unpack(slice(None))
    assert expected.examples.tolist() == list(range(len(dataset.test)))
    assert found["answer"] == [dataset.puzzle.format(answers.grid(row)) for row in range(len(dataset.test))]
    assert len(set(found["answer"])) > 10
    assert found["confidence"] == pytest.approx(1 / (1 + np.exp(-expected.q_halt)), abs=1e-5)
    assert found["steps"] == expected.steps.tolist()
