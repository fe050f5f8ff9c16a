"""Disks that do not take what is written: real ones."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from trainings import start, stopped

from hrm.config import TrainSettings
from hrm.stages.train import train


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a few checkpoints, not for all."""
    yield from mounted(tmp_path / "disk", "size=3m")


def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def run(settings: TrainSettings, dataset: Path, folder: Path) -> tuple[int, str]:
    """How a training in a process of its own ends."""
    process = start(settings, dataset, folder)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def test_a_full_disk(settings: TrainSettings, dataset: Path, small_disk: Path) -> None:
    """Training goes on with a warning, ends with the error, and the last good checkpoint can be gone on from."""
    checkpoints = settings.checkpoints.model_copy(update={"every_steps": 2, "keep": 20})
    status, said = run(settings.model_copy(update={"checkpoints": checkpoints}), dataset, small_disk / "run")
    warnings = [line for line in said.splitlines() if "not written" in line]
    assert "(No space left on device); the last good one is" in warnings[0], said
    assert status != 0
    assert "No space left on device" in said.splitlines()[-1]
    assert not list((small_disk / "run/training").glob(".*")), "nothing half-written is left"
    assert list((small_disk / "run/training").glob("step-*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    train(settings, dataset, small_disk / "run", "tiny")
    assert (small_disk / "run/train.json").is_file()


def test_a_disk_that_becomes_read_only(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line at the start, and what was there stays."""
    for disk in mounted(tmp_path / "disk", "size=64m"):
        folder = disk / "run"
        stopped(settings, dataset, folder, monkeypatch, before_step=12)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        status, said = run(settings, dataset, folder)
        assert status != 0
        assert "Read-only file system" in said.splitlines()[-1]
        assert (folder / "training/step-00000010/model.json").is_file()
