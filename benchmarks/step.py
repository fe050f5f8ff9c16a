"""How many samples a second the training step takes: written plainly, eager, compiled, with each setting that matters.

Cases take turns, so that whatever else the machine does slows all of them alike.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from benchmarks.cases import Setup, cpu_setups, gpu_setups, quick_setups
from benchmarks.clock import alone, seconds, threads
from benchmarks.plain import Plain
from benchmarks.table import Table, number
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.data.loader import Position, TrainBatches
from hrm.progress import progress
from hrm.training.speed import PEAKS, step_flops
from hrm.training.state import fresh_state
from hrm.training.step import Step

STEPS = 1_000_000
"""Of the run that the schedule believes in."""
WARM_UPS = 2


class Runner:
    """A case under way, always on the same batch."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.first = 0.0
        """Seconds of the first step, which compiles."""
        self.fell_back = False
        """Whether it was to be compiled, and no compiler works here."""
        self.taken: list[float] = []
        """Seconds of a step, one for each turn."""
        self._take_step: Callable[[], object] | None = None

    def start(self, dataset: Dataset, *, plain: bool) -> None:
        """Take the first step."""
        batches = TrainBatches(dataset, batch_size=self.settings.batch_size, seed=self.settings.seed)
        batch, _ = batches.batch(Position())
        state, step = fresh_state(self.settings, dataset, alone()), Step(self.settings, STEPS, alone())
        take_step: Callable[[], object] = partial(step, state, batch, Position())
        if plain:
            take_step = partial(Plain(self.settings, state.model, STEPS), batch)
        self.first = seconds(take_step)
        self.fell_back = self.settings.compile and not step.is_compiled
        self._take_step = take_step

    def turn(self, steps: int) -> None:
        """Take some steps."""
        if self._take_step is not None:
            self.taken.append(seconds(partial(_repeat, self._take_step, steps)) / steps)

    def drop(self) -> None:
        """Leave the case out, and give its memory back."""
        self._take_step, self.taken = None, []
        gc.collect()
        torch.cuda.empty_cache()

    def samples_per_second(self) -> float | None:
        """The median after the turns that warm up; None where the GPU's memory does not hold the case."""
        return self.settings.batch_size / median(self.taken[WARM_UPS:]) if self.taken else None


def measure(quick: bool) -> list[Table]:
    """A table for each setup that this machine is for."""
    # Compilation is timed without what earlier ones left; one process holds the cases of a table, each a graph.
    torch._dynamo.config.recompile_limit = 64
    torch.compiler.config.force_disable_caches = True
    warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")
    if quick:
        torch.compiler.set_stance("default", force_backend="eager")  # writing and compiling C++ takes a minute a case
    gpu = torch.cuda.is_available()
    tables = []
    for setup in quick_setups() if quick else gpu_setups() if gpu else cpu_setups():
        with TemporaryDirectory() as folder:
            tables.append(_measured(setup, setup.dataset(Path(folder))))
        torch.compiler.reset()
    return tables


def _measured(setup: Setup, dataset: Dataset) -> Table:
    runners = {case.name: Runner(setup.settings(case)) for case in setup.cases}
    for case in progress(setup.cases, desc=f"{setup.title}: first steps", unit="case"):
        if not _fits(partial(runners[case.name].start, dataset, plain=case.plain)):
            runners[case.name].drop()
    turns = WARM_UPS + setup.rounds
    for _ in progress(range(turns), total=turns, desc=setup.title, unit="turn"):
        for runner in runners.values():
            if not _fits(partial(runner.turn, setup.steps)):
                runner.drop()
    base = runners[setup.base].samples_per_second()
    rows = [_row(name, runner, base, dataset) for name, runner in runners.items()]
    columns = ("case", "samples/s", "ratio", "first step, s", "TFLOP/s", "of the peak")
    note = (
        f"Batch {setup.batch_size}, {dataset.seq_len} tokens, settings of `{setup.experiment}`; "
        f"{threads()}; medians of {setup.rounds} turns (steps in each: {setup.steps}) after {WARM_UPS} to warm up; "
        f"ratios to “{setup.base}”. The first step compiles, without a cache."
    )
    shown = len(columns) if torch.cuda.is_available() else 4
    return Table(f"The step: {setup.title}", note, columns[:shown], [row[:shown] for row in rows])


def _row(name: str, runner: Runner, base: float | None, dataset: Dataset) -> list[str]:
    rate = runner.samples_per_second()
    if rate is None:
        return [name, "out of memory", "–", "–", "–", "–"]
    tera = rate * step_flops(runner.settings, dataset.seq_len, dataset.vocab_size) / 1e12
    peak = PEAKS.get(alone().device_name) if runner.settings.precision == "bfloat16" else None
    return [
        name,
        number(rate),
        f"{rate / base:.2f}" if base else "–",
        "not compiled" if runner.fell_back else number(runner.first),
        number(tera),
        f"{tera / peak:.1%}" if peak else "–",
    ]


def _fits(action: Callable[[], None]) -> bool:
    """Carry an action out; whether the GPU's memory was enough for it."""
    try:
        action()
    except torch.OutOfMemoryError:
        return False
    return True


def _repeat(action: Callable[[], object], times: int) -> None:
    for _ in range(times):
        action()
