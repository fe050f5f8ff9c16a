"""The loop: it learns, goes on after a stop as if there had been none, and does not depend on how the batch is cut."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hrm.config import TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.tracking.curves import read_curves
from hrm.training import checkpoint, loop
from hrm.training.workspace import Workspace

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
    assert [folder.name for folder in (tmp_path / "run/checkpoints").iterdir()] == [STEP]
    assert not (tmp_path / "run/training").exists(), "only an interrupted run needs it"
    assert json.loads((tmp_path / "run/train.provenance.json").read_text())["stage"] == "train"


def test_a_stopped_run_goes_on_as_if_never_stopped(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by an error right after a checkpoint, and between two; then run to the end."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    for fatal in (11, 17):
        run = tmp_path / f"stopped-{fatal}"
        stopped(settings, dataset, run, monkeypatch, before_step=fatal)
        train(settings, dataset, run, "tiny")
        assert_equal(tmp_path / "whole", run)


def test_a_killed_process_resumes(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    """A real process, killed as soon as its first checkpoint is there."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    run = tmp_path / "killed"
    command = [sys.executable, "-c", PROGRAM, settings.model_dump_json(), str(dataset), str(run)]
    process = subprocess.Popen(command)
    try:
        while process.poll() is None and not (run / "training/step-00000010").exists():
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (run / "training/step-00000010").exists()
    assert not (run / "checkpoints").exists()
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
    after, aside = weights(run), load_file(run / f"aside-1/checkpoints/{STEP}/model.safetensors")
    assert all(torch.equal(before[name], aside[name]) for name in before)
    assert not torch.equal(before["H.blocks.0.mlp.down.weight"], after["H.blocks.0.mlp.down.weight"])
    assert json.loads((run / "aside-1/train.json").read_text())["steps"] == 25
    train(settings, dataset, run, "tiny")
    assert (run / "aside-2/checkpoints").is_dir()
    assert (run / "aside-1/checkpoints").is_dir()


def stopped(
    settings: TrainSettings, dataset: Path, run: Path, monkeypatch: pytest.MonkeyPatch, *, before_step: int
) -> None:
    """A run that an error ends before a step."""
    real = loop.train_one

    def dying(state, *arguments):
        if state.step + 1 == before_step:
            raise OSError("power cut")
        return real(state, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_one", dying)
        with pytest.raises(OSError, match="power cut"):
            train(settings, dataset, run, "tiny")


@pytest.mark.parametrize("damaged", ["training.safetensors", "model.safetensors", "training.json", "model.json"])
def test_a_damaged_checkpoint_is_skipped_by_name(
    damaged: str,
    settings: TrainSettings,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The one before it is gone on from, and the end is the same."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    run = tmp_path / "damaged"
    stopped(settings, dataset, run, monkeypatch, before_step=22)
    file = run / "training/step-00000020" / damaged
    file.write_bytes(file.read_bytes()[:-20])
    with caplog.at_level("WARNING", logger="hrm"):
        train(settings, dataset, run, "tiny")
    assert "step-00000020" in caplog.text
    assert "skipped" in caplog.text
    assert_equal(tmp_path / "whole", run)


def test_checkpoints_of_another_format_are_set_aside(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    stopped(settings, dataset, run, monkeypatch, before_step=12)
    for card in run.glob("training/*/model.json"):
        card.write_text(card.read_text().replace("hrm-checkpoint/1", "hrm-checkpoint/0"))
    train(settings, dataset, run, "tiny")
    assert (run / "aside-1/training/step-00000010").is_dir()
    assert (run / "checkpoints" / STEP).is_dir()


def test_other_code_is_named_in_the_provenance(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update in mid-run is allowed, and told."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("hrm.training.state.code_digest", lambda: "before the update")
        stopped(settings, dataset, run, monkeypatch, before_step=12)
    train(settings, dataset, run, "tiny")
    code = json.loads((run / "train.provenance.json").read_text())["code"]
    assert code["digests"] == ["before the update", code["digest"]]


def test_another_precision_goes_on_in_its_own_type(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a run moves to a GPU, where `auto` is another type."""
    run = tmp_path / "run"
    stopped(settings, dataset, run, monkeypatch, before_step=12)
    monkeypatch.setattr("hrm.training.state.activation_dtype", lambda *_: torch.bfloat16)
    train(settings, dataset, run, "tiny")
    state = load_file(run / "checkpoints" / STEP / "training.safetensors")
    assert state["carry.z_H"].dtype == torch.bfloat16


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


def test_one_process_goes_on_with_what_two_saved(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings, dataset, tmp_path / "one", "tiny")
    train(settings.model_copy(update={"processes": 2, "epochs": 4}), dataset, tmp_path / "two", "tiny")
    # Four epochs are ten steps: give them the place and the settings of a run that stopped there.
    run = tmp_path / "both"
    shutil.copytree(tmp_path / "two/checkpoints", run / "training")
    card = run / "training/step-00000010/model.json"
    card.write_text(card.read_text().replace('"epochs": 4', '"epochs": 10'))
    train(settings, dataset, run, "tiny")
    for name, tensor in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(run)[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_mistake_in_several_processes_is_one_line(
    settings: TrainSettings, dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint whose weights do not fit is found by the processes, and told by the one that started them."""
    train(settings.model_copy(update={"epochs": 4}), dataset, tmp_path / "run", "tiny")
    (tmp_path / "run/checkpoints").rename(tmp_path / "run/training")
    card = tmp_path / "run/training/step-00000010/model.json"
    card.write_text(card.read_text().replace('"epochs": 4', '"epochs": 10'))
    file = card.with_name("model.safetensors")
    tensors = load_file(file)
    save_file({**tensors, "surprise": torch.zeros(1)}, file)
    capfd.readouterr()
    with pytest.raises(UserError, match="surprise is not part of this model"):
        train(settings.model_copy(update={"processes": 2}), dataset, tmp_path / "run", "tiny")
    assert "Traceback" not in capfd.readouterr().err


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


def test_a_loss_that_is_not_finite_stops_with_one_line(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    """Nothing is published, and the line names the step and the remedy."""
    optimizer = settings.optimizer.model_copy(update={"lr": 1e30})
    with pytest.raises(UserError, match=r"not finite at step \d+; lower train\.optimizer\.lr"):
        train(settings.model_copy(update={"optimizer": optimizer}), dataset, tmp_path / "run", "tiny")
    assert not (tmp_path / "run/checkpoints").exists()
    assert not (tmp_path / "run/train.json").exists()


def test_two_trainings_never_share_a_folder(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Workspace(run).held(), pytest.raises(UserError, match="another `hrm train` is at work here"):
        train(settings, dataset, run, "tiny")
    train(settings, dataset, run, "tiny")


def test_a_damaged_finished_run_is_trained_again(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    train(settings, dataset, tmp_path / "whole", "tiny")
    run = tmp_path / "run"
    shutil.copytree(tmp_path / "whole", run)
    (run / "checkpoints" / STEP / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match="every checkpoint here is damaged; train again"):
        checkpoint.load_model(run / "checkpoints")
    train(settings, dataset, run, "tiny")
    assert_equal(tmp_path / "whole", run)


def test_weights_that_are_not_finite_are_refused(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    train(settings, dataset, tmp_path / "run", "tiny")
    file = tmp_path / "run/checkpoints" / STEP / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "H_init": torch.full_like(tensors["H_init"], torch.nan)}, file)
    with pytest.raises(UserError, match="H_init holds values that are not finite"):
        checkpoint.load_model(tmp_path / "run/checkpoints")
