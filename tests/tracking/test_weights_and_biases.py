import builtins
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_run
from wandb_server import wandb_server

from hrm import tracking
from hrm.config import RegisterSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.stages.handover import TRAINED, gathered, hand_over
from hrm.stages.register import register
from hrm.tracking.weights_and_biases import log_scores

WITH_WANDB = small_run.SETTINGS.model_copy(update={"wandb_project": "puzzles"})


def test_without_the_package_one_line_says_what_to_install(
    embedded: Path, run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def without_wandb(name: str, *rest: Any) -> Any:
        if name == "wandb":
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_wandb)
    with pytest.raises(UserError, match=r"^train\.wandb_project = 'puzzles' needs .* pip install 'hrm-mlops\[wandb\]'"):
        tracking.start(run, "small", WITH_WANDB, sudoku)


def test_an_offline_run_is_kept_in_the_runs_folder(
    embedded: Path, run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracker = tracking.start(run, "small", WITH_WANDB, sudoku)
    for step, values in small_run.CURVES.items():
        tracker.metrics(values, step)
    tracker.close("FINISHED")
    (folder,) = (run / "wandb").glob("offline-run-*")
    run_id = json.loads((run / "wandb_run.json").read_text())["run_id"]
    (file,) = folder.glob(f"run-{run_id}.wandb")
    content = file.read_bytes()
    assert b"train/loss" in content
    assert sudoku.digest.encode() in content


def test_an_online_run_has_curves_records_and_scores(
    embedded: Path, run: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a server that speaks enough of W&B's protocol; stopped once, and gone on with."""
    pytest.importorskip("wandb")
    losses = [(step, values["train/loss"]) for step, values in small_run.CURVES.items()]
    with wandb_server() as server:
        for key, value in server.environment.items():
            monkeypatch.setenv(key, value)
        for resumed, steps in ((False, (10, 20)), (True, (20, 30, 40, 50))):  # 20 is in both
            tracker = tracking.start(run, "small", WITH_WANDB, sudoku, resumed=resumed)
            for step in steps:
                tracker.metrics(small_run.CURVES[step], step)
            tracker.close("FINISHED" if resumed else "KILLED")
        (name,) = server.history
        assert json.loads((run / "wandb_run.json").read_text()) == {"project": "puzzles", "run_id": name}
        assert server.curve(name, "train/loss") == losses
        assert server.configs[name]["provenance"]["value"]["inputs"]["dataset"] == sudoku.digest
        assert server.artifacts["small-training"]["artifactTypeName"] == "training"
        assert server.files["small-training/train.json"] == (run / "train.json").read_bytes()

        log_scores(run, "small", {"evaluate/exact_accuracy": 0.5}, [run / "evaluate.json", run / "none.json"])
        assert server.summary(name)["evaluate/exact_accuracy"] == 0.5
        assert server.curve(name, "train/loss") == losses
        assert server.files["small-evaluation/evaluate.json"] == (run / "evaluate.json").read_bytes()
        assert list(server.artifacts) == ["small-training", "small-evaluation"]


def test_scores_go_to_the_run_of_their_training_where_steps_share_no_folder(
    embedded: Path, run: Path, sudoku: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    whole = small_run.finished_run(tmp_path / "whole", sudoku)
    with wandb_server() as server:
        for key, value in server.environment.items():
            monkeypatch.setenv(key, value)
        tracking.start(whole, "small", WITH_WANDB, sudoku).close("FINISHED")
        hand_over(whole, TRAINED, tmp_path / "model")
        rest = {path.name for path in whole.iterdir()} - {*TRAINED, "wandb"}
        hand_over(whole, rest, tmp_path / "rest")
        with gathered(tmp_path / "model", tmp_path / "rest") as together:
            register(RegisterSettings(description="For a test."), sudoku.path, together, "small")
        (name,) = server.configs
        assert server.summary(name)["evaluate/exact_accuracy"] == 0.5
    # Another training, which W&B is not told of: nor is it of the scores.
    tracking.start(whole, "small", small_run.SETTINGS, sudoku).close("FINISHED")
    assert not (whole / "wandb_run.json").exists()


def test_scores_that_cannot_be_sent_are_a_warning(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_scores(run, "small", {"x": 1.0}, [])
    assert caplog.messages == [], "it has no run there"
    (run / "wandb_run.json").write_text("{}")
    log_scores(run, "small", {"x": 1.0}, [])
    assert [text.endswith("; the scores are in MLflow alone") for text in caplog.messages] == [True]


def test_without_an_account_one_line_says_what_to_do(run: Path, sudoku: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    code = f"""
import small_run
from pathlib import Path
from hrm.data.dataset import open_dataset
from hrm.tracking.record import Facts
from hrm.tracking.weights_and_biases import WandbTracker
facts = Facts.of("small", small_run.SETTINGS, open_dataset(Path({str(sudoku.path)!r})))
WandbTracker("puzzles", Path({str(run)!r}), facts, resume=False)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert "UserError: train.wandb_project = 'puzzles': W&B does not start: No API key configured" in done.stderr
    assert "log in with `wandb login`, or set WANDB_MODE=offline" in done.stderr
