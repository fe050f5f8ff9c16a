"""The trajectory does not depend on how the global batch is cut among processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainings import PROGRAM, assert_close

from hrm.artifacts import digest
from hrm.config import TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.tracking.curves import read_curves


@pytest.fixture(scope="module")
def fifty(dataset: Path) -> TrainSettings:
    """Fifty steps with exploration on, each logged."""
    from hrm.config import HaltingSettings, ModelSettings, OptimizerSettings

    return TrainSettings(
        model=ModelSettings(hidden=16, heads=2, H_layers=1, L_layers=1),
        halting=HaltingSettings(max_steps=4, exploration=0.5),
        optimizer=OptimizerSettings(lr=1e-3, warmup_steps=5),
        batch_size=16,
        epochs=20,
        eval_every=10,
        log_every=1,
        processes=1,
        precision="float32",
        compile=False,
    )


@pytest.fixture(scope="module")
def alone(fifty: TrainSettings, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.chdir(run.parent)
        train(fifty, dataset, run, "tiny")
    return run


@pytest.mark.parametrize("processes", [2, 4])
def test_the_losses_are_the_same_at_every_step(
    processes: int, fifty: TrainSettings, alone: Path, dataset: Path, tmp_path: Path
) -> None:
    often = fifty.checkpoints.model_copy(update={"every_minutes": 1e-9})
    changed = {"processes": processes} | ({"checkpoints": often} if processes == 2 else {})
    train(fifty.model_copy(update=changed), dataset, tmp_path / "run", "tiny")
    one, several = read_curves(alone / "curves.csv"), read_curves(tmp_path / "run/curves.csv")
    assert list(one) == list(several) == list(range(1, 51))
    for step, row in one.items():
        losses = {name: value for name, value in row.items() if name.endswith("loss")}
        assert len(losses) == 4
        assert {name: several[step][name] for name in losses} == pytest.approx(losses, rel=1e-4), step
        assert several[step] == pytest.approx(row, rel=1e-3, abs=1e-5), step
    assert_close(alone, tmp_path / "run")


def test_one_process_goes_on_with_what_two_saved(
    fifty: TrainSettings, alone: Path, dataset: Path, tmp_path: Path
) -> None:
    train(fifty.model_copy(update={"processes": 2, "epochs": 10}), dataset, tmp_path / "two", "tiny")
    # Ten epochs are 25 steps: give them the place and the settings of a run that stopped there.
    run = tmp_path / "both"
    shutil.copytree(tmp_path / "two/checkpoints", run / "training")
    card = run / "training/step-00000025/model.json"
    card.write_text(card.read_text().replace('"epochs": 10', '"epochs": 20'))
    train(fifty, dataset, run, "tiny")
    assert_close(alone, run)


def test_a_mistake_in_several_processes_is_one_line(
    settings: TrainSettings, dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint whose weights do not fit is found by the processes, and told by the one that started them."""
    train(settings.model_copy(update={"epochs": 4}), dataset, tmp_path / "run", "tiny")
    (tmp_path / "run/checkpoints").rename(tmp_path / "run/training")
    file = tmp_path / "run/training/step-00000010/model.safetensors"
    save_file({**load_file(file), "surprise": torch.zeros(1)}, file)
    card = file.with_name("model.json")
    text = card.read_text().replace('"epochs": 4', '"epochs": 10')
    before = text.partition('"weights_digest": "')[2][:64]
    card.write_text(text.replace(before, digest(file)))
    capfd.readouterr()
    with pytest.raises(UserError, match="surprise is not part of this model"):
        train(settings.model_copy(update={"processes": 2}), dataset, tmp_path / "run", "tiny")
    assert "Traceback" not in capfd.readouterr().err


def test_it_joins_a_torchrun_it_is_started_under(
    fifty: TrainSettings, alone: Path, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [fifty.model_dump_json(), str(dataset), str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, "work.py", *arguments], check=True, cwd=tmp_path, env=environment)
    one, two = read_curves(alone / "curves.csv"), read_curves(tmp_path / "two/curves.csv")
    assert two[50] == pytest.approx(one[50], rel=1e-3, abs=1e-5)
