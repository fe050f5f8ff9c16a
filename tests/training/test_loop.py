"""The loop: it learns, goes on after a stop as if there had been none, and does not depend on how the batch is cut."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hrm.config import TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.training import checkpoint, loop
from hrm.training.curves import read_curves

STEP = "step-00000025"
PROGRAM = """
import sys
from pathlib import Path
from hrm.config import TrainSettings
from hrm.stages.train import train

train(TrainSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), "tiny")
"""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / STEP / "model.safetensors")


def assert_equal(one: Path, other: Path) -> None:
    """Bit by bit: weights, training state and curves."""
    for name in ("model.safetensors", "training.safetensors", "training.json"):
        theirs, ours = (run / "checkpoints" / STEP / name for run in (one, other))
        assert theirs.read_bytes() == ours.read_bytes(), name
    assert (one / "curves.csv").read_text() == (other / "curves.csv").read_text()


def test_a_run_leaves_its_records(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    train(settings, dataset, tmp_path / "run", "tiny")
    curves = read_curves(tmp_path / "run/curves.csv")
    assert list(curves) == [4, 8, 10, 12, 16, 20, 24, 25], "every 4 steps, and the validations at 10, 20 and the end"
    assert [step for step, row in curves.items() if "eval/exact_accuracy" in row] == [10, 20, 25]
    assert curves[25]["train/loss"] < 0.9 * curves[4]["train/loss"]
    assert all(1 <= row["train/steps"] <= 3 for row in curves.values() if "train/steps" in row)
    summary = json.loads((tmp_path / "run/train.json").read_text())
    assert summary["steps"] == 25
    assert summary["eval/exact_accuracy"] == curves[25]["eval/exact_accuracy"]
    steps = sorted(folder.name for folder in (tmp_path / "run/checkpoints").glob("step-*"))
    assert steps == ["step-00000020", STEP], "the last two stay"
    assert json.loads((tmp_path / "run/train.provenance.json").read_text())["stage"] == "train"


def test_a_stopped_run_goes_on_as_if_never_stopped(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by an error right after a checkpoint, and between two; then run to the end."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    real = loop.train_one
    for fatal in (11, 17):
        run = tmp_path / f"stopped-{fatal}"

        def dying(state, *arguments, fatal=fatal):
            if state.step + 1 == fatal:
                raise OSError("power cut")
            return real(state, *arguments)

        monkeypatch.setattr(loop, "train_one", dying)
        with pytest.raises(OSError, match="power cut"):
            train(settings, dataset, run, "tiny")
        monkeypatch.setattr(loop, "train_one", real)
        train(settings, dataset, run, "tiny")
        assert_equal(tmp_path / "whole", run)


def test_a_killed_process_resumes(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    """A real process, killed as soon as its first checkpoint is there."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    run = tmp_path / "killed"
    command = [sys.executable, "-c", PROGRAM, settings.model_dump_json(), str(dataset), str(run)]
    process = subprocess.Popen(command)
    try:
        while process.poll() is None and not (run / "checkpoints/step-00000010").exists():
            pass
    finally:
        process.kill()
        process.wait()
    train(settings, dataset, run, "tiny")
    assert_equal(tmp_path / "whole", run)


def test_a_finished_run_is_left_as_it_is(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(settings, dataset, run, "tiny")
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()}
    train(settings.model_copy(update={"log_every": 7}), dataset, run, "tiny")
    assert before == {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()}


def test_other_settings_start_anew_and_lose_nothing(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(settings, dataset, run, "tiny")
    before = weights(run)
    train(settings.model_copy(update={"seed": 1}), dataset, run, "tiny")
    after, aside = weights(run), load_file(run / f"checkpoints.previous/{STEP}/model.safetensors")
    assert all(torch.equal(before[name], aside[name]) for name in before)
    assert not torch.equal(before["H.blocks.0.mlp.down.weight"], after["H.blocks.0.mlp.down.weight"])


def test_a_damaged_checkpoint_is_skipped_by_name(
    settings: TrainSettings, dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(settings, dataset, tmp_path / "whole", "tiny")
    run = tmp_path / "damaged"
    shutil.copytree(tmp_path / "whole", run)
    (run / "checkpoints/finished.json").unlink()
    file = run / "checkpoints" / STEP / "training.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with caplog.at_level("WARNING", logger="hrm"):
        train(settings, dataset, run, "tiny")
    assert f"{STEP}: damaged checkpoint skipped" in caplog.text
    assert_equal(tmp_path / "whole", run)


def test_two_processes_follow_the_same_trajectory(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    """Exploration included; and what two processes saved, one goes on with."""
    train(settings, dataset, tmp_path / "one", "tiny")
    train(settings.model_copy(update={"processes": 2}), dataset, tmp_path / "two", "tiny")
    one, two = read_curves(tmp_path / "one/curves.csv"), read_curves(tmp_path / "two/curves.csv")
    assert list(one) == list(two)
    for step, row in one.items():
        assert two[step] == pytest.approx(row, rel=1e-4, abs=1e-6), step
    for name, tensor in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], tensor, rtol=1e-3, atol=1e-4)

    (tmp_path / "two/checkpoints/finished.json").unlink()
    shutil.rmtree(tmp_path / "two/checkpoints" / STEP)
    train(settings, dataset, tmp_path / "two", "tiny")
    for step, row in read_curves(tmp_path / "two/curves.csv").items():
        assert row == pytest.approx(one[step], rel=1e-4, abs=1e-6), step


def test_it_joins_a_torchrun_it_is_started_under(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    train(settings, dataset, tmp_path / "one", "tiny")
    (tmp_path / "work.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [settings.model_dump_json(), str(dataset), str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, "work.py", *arguments], check=True, cwd=tmp_path, env=environment)
    one, two = read_curves(tmp_path / "one/curves.csv"), read_curves(tmp_path / "two/curves.csv")
    assert two[25] == pytest.approx(one[25], rel=1e-4, abs=1e-6)


def test_a_batch_that_cannot_be_shared_is_one_line(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"batch_size = 16 must be divisible .* = 3"):
        train(settings.model_copy(update={"processes": 3}), dataset, tmp_path / "run", "tiny")
    assert not (tmp_path / "run").exists()


def test_loading_names_what_does_not_match(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint here; make one with `hrm train`"):
        checkpoint.load_model(tmp_path / "nowhere")
    train(settings, dataset, tmp_path / "run", "tiny")
    loaded = checkpoint.load_model(tmp_path / "run/checkpoints")
    assert (loaded.card.step, loaded.model.training) == (25, False)
    card = tmp_path / "run/checkpoints" / STEP / "model.json"
    content = json.loads(card.read_text())
    content["train"]["model"]["hidden"] = 32
    card.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model\.safetensors: .* has shape .* does not match"):
        checkpoint.load_model(tmp_path / "run/checkpoints")
    card.write_text(json.dumps(content | {"format": "hrm-checkpoint/0"}))
    with pytest.raises(UserError, match="format 'hrm-checkpoint/0'"):
        checkpoint.load_model(tmp_path / "run/checkpoints")
