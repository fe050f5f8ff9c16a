"""For tests that stop a run in some way and compare it with one that was never stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hrm.config import TrainSettings
from hrm.stages.train import train
from hrm.training.step import Step

PROGRAM = """
import logging, sys
from pathlib import Path
from hrm.config import TrainSettings
from hrm.progress import speak
from hrm.stages.train import train

speak(logging.INFO)
train(TrainSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), "tiny")
"""


class PowerCut(BaseException):
    """Ends a run as nothing that it could react to."""


def start(settings: TrainSettings, dataset: Path, run: Path, **environment: str) -> subprocess.Popen[str]:
    """A training in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, settings.model_dump_json(), str(dataset), str(run)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)


def stopped(
    settings: TrainSettings,
    dataset: Path,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before_step: int,
    by: BaseException | None = None,
) -> None:
    """A run that ends before a step, after the checkpoints that it has begun are written."""
    error = PowerCut() if by is None else by
    real = Step.__call__

    def dying(self, state, *arguments):
        if state.step + 1 == before_step:
            raise error
        return real(self, state, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Step, "__call__", dying)
        with pytest.raises(type(error)):
            train(settings, dataset, run, "tiny")


def final_step(run: Path) -> Path:
    """The checkpoint of a finished run."""
    (folder,) = (run / "checkpoints").iterdir()
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Of a finished run."""
    return load_file(final_step(run) / "model.safetensors")


def assert_equal(one: Path, other: Path) -> None:
    """Bit by bit: weights, training state and metrics."""
    assert final_step(one).name == final_step(other).name
    for name in ("model.safetensors", "training.safetensors", "training.json"):
        theirs, ours = (final_step(run) / name for run in (one, other))
        assert theirs.read_bytes() == ours.read_bytes(), name
    assert (one / "curves.csv").read_text() == (other / "curves.csv").read_text()


def assert_close(one: Path, other: Path) -> None:
    """Weights up to rounding."""
    theirs = weights(other)
    for name, tensor in weights(one).items():
        torch.testing.assert_close(theirs[name], tensor, rtol=1e-3, atol=1e-4)
