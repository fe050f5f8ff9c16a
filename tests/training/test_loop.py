"""A run from its first step to its records."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_run import write_weights
from trainings import assert_equal, final_step, stopped, weights

from hrm.artifacts import digest
from hrm.config import CheckpointSettings, TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.tracking.curves import read_curves
from hrm.training import card
from hrm.training.loop import Training
from hrm.training.workspace import Workspace

STEP = "step-00000025"


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


def test_the_curves_tell_how_rows_halt_and_how_large_things_are(
    settings: TrainSettings, dataset: Path, tmp_path: Path
) -> None:
    train(settings, dataset, tmp_path / "run", "tiny")
    for step, row in read_curves(tmp_path / "run/curves.csv").items():
        if "train/steps" in row:  # a row has halted since the last logged point
            shares = [row[f"train/halted_after/{segments:02d}"] for segments in (1, 2, 3)]
            assert sum(shares) == pytest.approx(1, abs=1e-4), step
            mean = sum(share * segments for segments, share in enumerate(shares, 1))
            assert mean == pytest.approx(row["train/steps"], rel=1e-3)
            assert row["train/gradient_norm"] > 0
            assert row["train/parameter_norm"] > 0
            assert {"train/q_halt", "train/q_continue"} <= row.keys()


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


def test_checkpoints_of_another_format_are_set_aside(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    stopped(settings, dataset, run, monkeypatch, before_step=12)
    for file in run.glob("training/*/model.json"):
        file.write_text(file.read_text().replace("hrm-checkpoint/2", "hrm-checkpoint/0"))
    train(settings, dataset, run, "tiny")
    assert (run / "aside-1/training/step-00000010").is_dir()
    assert (run / "checkpoints" / STEP).is_dir()


def test_the_average_predicts_and_the_parameters_train(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    train(settings, dataset, tmp_path / "plain", "tiny")
    train(settings.model_copy(update={"ema": 0.9}), dataset, tmp_path / "averaged", "tiny")
    plain, averaged = weights(tmp_path / "plain"), weights(tmp_path / "averaged")
    trained = load_file(final_step(tmp_path / "averaged") / "training.safetensors")
    for name, tensor in plain.items():
        assert torch.equal(trained.get(f"weights.{name}", averaged[name]), tensor), "the trajectory is the same"
    name = "H.blocks.0.mlp.down.weight"
    assert not torch.equal(averaged[name], plain[name])
    assert torch.equal(averaged["puzzle_embedding.table"], plain["puzzle_embedding.table"])


def script(scores: dict[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations give these exact accuracies."""
    real = Training.validate

    def scripted(self):
        score = scores[self.state.step]
        values = dict.fromkeys(("eval/exact_accuracy", "eval/token_accuracy", "eval/q_halt_accuracy"), score)
        with monkeypatch.context() as patch:
            patch.setattr("hrm.training.loop.validate", lambda *_, **__: values)
            real(self)

    monkeypatch.setattr(Training, "validate", scripted)


def test_patience_ends_a_run_and_the_best_is_left(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of five validations, every 5 steps, is the second: it stays though only one other checkpoint does."""
    settings = settings.model_copy(update={"eval_every": 2, "patience": 2, "result": "best"})
    settings = settings.model_copy(update={"checkpoints": settings.checkpoints.model_copy(update={"keep": 1})})
    script({5: 0.1, 10: 0.5, 15: 0.4, 20: 0.5, 25: 0.9}, monkeypatch)
    train(settings, dataset, tmp_path / "run", "tiny")
    assert final_step(tmp_path / "run").name == "step-00000010"
    assert max(read_curves(tmp_path / "run/curves.csv")) == 20, "twice not better"
    summary = json.loads((tmp_path / "run/train.json").read_text())
    assert (summary["steps"], summary["best_step"]) == (20, 10)
    before = (final_step(tmp_path / "run") / "model.json").stat().st_mtime_ns
    train(settings, dataset, tmp_path / "run", "tiny")
    assert (final_step(tmp_path / "run") / "model.json").stat().st_mtime_ns == before, "it is finished"


def test_the_last_is_left_unless_the_best_is_asked_for(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script({10: 0.5, 20: 0.4, 25: 0.3}, monkeypatch)
    train(settings, dataset, tmp_path / "run", "tiny")
    assert final_step(tmp_path / "run").name == STEP


def test_checkpoints_before_the_result_are_left_where_asked_for(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best is the one of step 20, after which there is another."""
    script({10: 0.4, 20: 0.5, 25: 0.3}, monkeypatch)
    checkpoints = settings.checkpoints.model_copy(update={"keep": 3, "leave": 2})
    settings = settings.model_copy(update={"checkpoints": checkpoints, "result": "best"})
    train(settings, dataset, tmp_path / "run", "tiny")
    left = card.newest_usable(tmp_path / "run/checkpoints", 5)
    assert [folder.name for folder in left] == ["step-00000020", "step-00000010"]


def test_no_more_checkpoints_are_left_than_kept() -> None:
    with pytest.raises(ValueError, match="leave = 3: no more stay than keep = 2"):
        CheckpointSettings(leave=3)


def test_a_batch_that_cannot_be_shared_is_one_line(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"batch_size = 16 must be divisible .* = 3"):
        train(settings.model_copy(update={"processes": 3}), dataset, tmp_path / "run", "tiny")
    assert not (tmp_path / "run").exists()


def test_an_attention_that_is_not_there_is_one_line(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.attention"):
        train(settings.model_copy(update={"attention": "flash3"}), dataset, tmp_path / "run", "tiny")
    assert not (tmp_path / "run").exists()


def test_loading_names_what_does_not_match(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint here; make one with `hrm train`"):
        card.load_model(tmp_path / "nowhere")
    train(settings, dataset, tmp_path / "run", "tiny")
    loaded = card.load_model(tmp_path / "run/checkpoints")
    assert (loaded.card.step, loaded.model.training) == (25, False)
    file = tmp_path / "run/checkpoints" / STEP / "model.json"
    content = json.loads(file.read_text())
    assert content["weights_digest"] == digest(file.with_name("model.safetensors"))
    content["train"]["model"]["hidden"] = 32
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model\.safetensors: .* has shape .* does not match"):
        card.load_model(tmp_path / "run/checkpoints")
    file.write_text(json.dumps(content | {"format": "hrm-checkpoint/0"}))
    with pytest.raises(UserError, match="format 'hrm-checkpoint/0'"):
        card.load_model(tmp_path / "run/checkpoints")


def test_two_trainings_never_share_a_folder(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Workspace(run).held(), pytest.raises(UserError, match="another `hrm train` is at work here"):
        train(settings, dataset, run, "tiny")
    train(settings, dataset, run, "tiny")


def test_a_damaged_finished_run_is_trained_again(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    """A single flipped bit is enough."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    run = tmp_path / "run"
    shutil.copytree(tmp_path / "whole", run)
    file = run / "checkpoints" / STEP / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="every checkpoint here is damaged; train again"):
        card.load_model(run / "checkpoints")
    train(settings, dataset, run, "tiny")
    assert_equal(tmp_path / "whole", run)


def test_weights_that_are_not_finite_are_refused(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    train(settings, dataset, tmp_path / "run", "tiny")
    tensors = weights(tmp_path / "run")
    bad = {**tensors, "H_init": torch.full_like(tensors["H_init"], torch.nan)}
    write_weights(final_step(tmp_path / "run"), bad)
    with pytest.raises(UserError, match="H_init holds values that are not finite"):
        card.load_model(tmp_path / "run/checkpoints")
