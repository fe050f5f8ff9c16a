"""The ways to take a step that are compared, and what on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import data
from hrm.config import TrainSettings, load_experiment
from hrm.data.dataset import Dataset
from hrm.model.attention import check_backend

SMALL = (
    "train.model={hidden: 32, heads: 2, H_layers: 1, L_layers: 1, H_cycles: 1, L_cycles: 1}",
    "train.halting.max_steps=2",
)
EAGER, FLOAT32, BFLOAT16 = "train.compile=false", "train.precision=float32", "train.precision=bfloat16"
SWITCHES = (
    "halting.continue_target=none",
    "ema=0.999",
    "model.gradient_cycles=1",
    "loss=stablemax-float32",
    "loss=softmax",
)


@dataclass(frozen=True)
class Case:
    """One way to take a step."""

    name: str
    overrides: tuple[str, ...]
    """Of the experiment's settings, as on the command line."""
    plain: bool = False


@dataclass(frozen=True)
class Setup:
    """What a table's cases are measured on."""

    title: str
    experiment: str
    batch_size: int
    dataset: Callable[[Path], Dataset]
    cases: Sequence[Case]
    base: str
    """The case that ratios refer to."""
    rounds: int
    steps: int
    """Taken in a round."""
    overrides: tuple[str, ...] = ()

    def settings(self, case: Case) -> TrainSettings:
        """Of the training.

        Raises:
            UserError: when there is no params.yaml in this folder.
        """
        own = [f"train.batch_size={self.batch_size}", "train.processes=1"]
        overrides = [*own, *self.overrides, *case.overrides]
        return load_experiment(self.experiment, Path("params.yaml"), overrides).train


def cpu_setups() -> list[Setup]:
    """The published network, with a batch that a CPU has time for."""

    def dataset(folder: Path) -> Dataset:
        return data.sudoku(folder, puzzles=100, variants=10)

    base = "eager float32"
    return [Setup("9×9 Sudoku on a CPU", "sudoku-extreme-1k", 16, dataset, _cpu_cases(), base, rounds=7, steps=1)]


def quick_setups() -> list[Setup]:
    """The same cases of a network that takes no time."""
    (setup,) = cpu_setups()
    return [
        Setup("tiny", setup.experiment, 4, setup.dataset, setup.cases, setup.base, rounds=2, steps=1, overrides=SMALL)
    ]


def _cpu_cases() -> list[Case]:
    return [
        Case("the method written plainly, float32", (EAGER, FLOAT32), plain=True),
        Case("eager float32", (EAGER, FLOAT32)),
        Case("eager bfloat16", (EAGER, BFLOAT16)),
        Case("compiled float32", (FLOAT32,)),
        *_compiled(*SWITCHES, "attention=sdpa"),
    ]


def gpu_setups() -> list[Setup]:
    """The published batch, and the share of it that one of 8 GPUs has."""

    def sudoku(folder: Path) -> Dataset:
        return data.sudoku(folder, puzzles=1000, variants=10)

    def arc(folder: Path) -> Dataset:
        return data.arc(folder, variants=10)

    few = [Case("eager bfloat16", (EAGER, BFLOAT16)), *_compiled(*_kernels())]
    all_cases = [*few, *_compiled(*SWITCHES)[1:]]
    gpu, base = torch.cuda.get_device_name(), "eager bfloat16"
    return [
        Setup(f"Sudoku-Extreme, batch 768, {gpu}", "sudoku-extreme-1k", 768, sudoku, all_cases, base, 7, steps=10),
        Setup(f"Sudoku-Extreme, batch 96, {gpu}", "sudoku-extreme-1k", 96, sudoku, few, base, 7, steps=10),
        Setup(f"ARC-1, batch 96, {gpu}", "arc-1", 96, arc, all_cases, base, 7, steps=3),
        Setup(f"ARC-1, batch 768, {gpu}", "arc-1", 768, arc, few, base, 5, steps=1),
    ]


def _compiled(*overrides: str) -> list[Case]:
    """The default, and each change of it."""
    name = "compiled bfloat16"
    changed = [Case(f"{name}, `{override}`", (BFLOAT16, f"train.{override}")) for override in overrides]
    return [Case(f"{name} (the default)", (BFLOAT16,)), *changed]


def _kernels() -> list[str]:
    """The attention kernels that work here."""
    kernels = []
    for name in ("flash3", "flash2", "sdpa", "matmul"):
        try:
            check_backend(name, device_type="cuda", dtype=torch.bfloat16)
        except ValueError:
            continue
        kernels.append(f"attention={name}")
    return kernels
