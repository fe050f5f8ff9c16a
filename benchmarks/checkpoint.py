"""What checkpoints cost, and what all that is not the step itself adds to it.

Each piece of the training loop is timed by itself and set against the step: the difference of two whole runs would
drown in the noise of the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from benchmarks import data
from benchmarks.cases import SMALL
from benchmarks.clock import alone, seconds, threads
from benchmarks.step import STEPS
from benchmarks.table import Table, number
from hrm.artifacts import remove
from hrm.config import TrainSettings, load_experiment
from hrm.data.dataset import Dataset
from hrm.data.loader import TrainBatches, prefetched
from hrm.progress import progress
from hrm.training import checkpoint
from hrm.training.card import card_of
from hrm.training.records import Records
from hrm.training.state import fresh_state
from hrm.training.step import Step
from hrm.training.workspace import Workspace

WARM_UPS = 2
MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")


class Loop:
    """The pieces of `hrm.training.loop`, each to be called once a round, in this order."""

    def __init__(self, settings: TrainSettings, dataset: Dataset, run: Path, rounds: int) -> None:
        self._processes, self._place = alone(), Workspace(run)
        self._card = card_of(settings, dataset)
        self._state = fresh_state(settings, dataset, self._processes)
        self._step = Step(settings, STEPS, self._processes)
        self._batches = TrainBatches(dataset, batch_size=settings.batch_size, seed=settings.seed)
        self._coming = prefetched(self._batches, self._state.position, rounds)
        self.records = Records(settings, dataset, self._place, "benchmark", step=0, processes=self._processes)

    def wait(self) -> None:
        """For the loader."""
        self._next = next(self._coming)

    def step(self) -> None:
        """Forward, backward, update."""
        self._step(self._state, *self._next)

    def log(self) -> None:
        """A point of the curves."""
        state = self._state
        self.records.add(state.step, state.window.close() | {"train/parameter_norm": state.parameter_norm})
        self.records.add_speed(state.step)

    def copy(self) -> None:
        """The state, for a checkpoint."""
        taken = checkpoint.snapshot(self._state, self._card, self._processes)
        assert taken is not None
        self._taken = taken

    def curves(self) -> None:
        """As text, for each checkpoint."""
        self.records.curves()

    def write(self) -> None:
        """The copy; in a thread."""
        self._folder = checkpoint.write(self._place.training, self._taken)

    def read(self) -> None:
        """The checkpoint, when a run goes on."""
        checkpoint.newest_intact(self._place.training)

    def draw(self) -> None:
        """A batch; in a thread."""
        self._batches.batch(self._state.position)

    def clear(self) -> int:
        """Remove the checkpoint; gives its bytes."""
        size = sum(file.stat().st_size for file in self._folder.iterdir())
        remove(self._folder)
        return size


def measure(quick: bool) -> list[Table]:
    """Two tables: checkpoints by themselves, and the pieces of a training beside its step."""
    gpu, rounds = torch.cuda.is_available(), 2 if quick else 7
    batch_size = 4 if quick else 768 if gpu else 16
    overrides = [f"train.batch_size={batch_size}", "train.processes=1"]
    if quick:
        overrides += [*SMALL, "train.compile=false"]
    settings = load_experiment("sudoku-extreme-1k", Path("params.yaml"), overrides).train
    with TemporaryDirectory() as folder, logging_to(Path(folder)):
        variants = 3 if quick else 1000
        dataset = data.sudoku(Path(folder), puzzles=20 if quick else 1000, variants=variants)
        taken, size = _timed(Loop(settings, dataset, Path(folder) / "run", WARM_UPS + rounds), rounds)
    where = torch.cuda.get_device_name() if gpu else "a CPU"
    note = f"Batch {batch_size}, settings of `sudoku-extreme-1k`; {threads()}; medians of {rounds}."
    return [_checkpoints(taken, size, where, note), _beside(taken, settings, where, note)]


def _timed(loop: Loop, rounds: int) -> tuple[dict[str, float], int]:
    """The median seconds of each piece, and the bytes of a checkpoint."""
    every_step = (loop.wait, loop.step)
    at_times = (loop.log, loop.copy, loop.curves, loop.write, loop.read, loop.draw)
    taken: dict[str, list[float]] = {piece.__name__: [] for piece in (*every_step, *at_times)}
    with loop.records:
        # By themselves: the loader must not get ahead while something else is timed.
        for turn in progress(range(WARM_UPS + rounds), total=WARM_UPS + rounds, desc="steps", unit="step"):
            for piece in every_step:
                value = seconds(piece)
                if turn >= WARM_UPS:
                    taken[piece.__name__].append(value)
        for _ in progress(range(rounds), total=rounds, desc="checkpoints", unit="round"):
            loop.step()  # there is something to log
            for piece in at_times:
                taken[piece.__name__].append(seconds(piece))
            size = loop.clear()
    return {name: median(values) for name, values in taken.items()}, size


def _checkpoints(taken: Mapping[str, float], size: int, where: str, note: str) -> Table:
    rows = [
        ("size, MB", number(size / 1e6)),
        ("a step waits (`checkpoint.snapshot`), s", number(taken["copy"])),
        ("written and flushed in the background (`checkpoint.write`), s", number(taken["write"])),
        ("read back and checked (`checkpoint.newest_intact`), s", number(taken["read"])),
    ]
    return Table(f"Checkpoints on {where}", note, ("what", "figure"), rows)


def _beside(taken: Mapping[str, float], settings: TrainSettings, where: str, note: str) -> Table:
    """Everything of a training but its step and its validations, relative to the step."""
    step, every, minutes = taken["step"], settings.log_every, settings.checkpoints.every_minutes
    each, logged, saved = "step", f"{every} steps", f"{minutes:g} min"
    period = {each: step, logged: every * step, saved: 60 * minutes}
    waits = [
        ("waiting for the loader", taken["wait"], each),
        ("metrics, curves, trackers (`Window.close`, `Records.add`)", taken["log"], logged),
        ("copying the state (`checkpoint.snapshot`) and the curves", taken["copy"] + taken["curves"], saved),
    ]
    in_threads = [
        ("making the batch, in a thread", taken["draw"], each),
        ("writing the checkpoint, in a thread", taken["write"], saved),
    ]
    rows = [("the step itself", number(1000 * step), each, "100 %")]
    total = 0.0
    for parts, sums_to in (
        (waits, "what a step waits for"),
        (in_threads, "the same, had the threads no core"),
    ):
        for name, value, once_in in parts:
            total += value / period[once_in]
            rows.append((name, number(1000 * value), once_in, _percent(value / period[once_in])))
        rows.append((f"**{sums_to}**", number(1000 * total * step), each, f"**{_percent(total)}**"))
    return Table(f"Beside the step on {where}", note, ("what", "ms", "once in", "of a step"), rows)


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


@contextmanager
def logging_to(folder: Path) -> Iterator[None]:
    """The curves go to a database that nobody keeps."""
    saved = {name: os.environ.pop(name) for name in MLFLOW if name in os.environ}
    try:
        with chdir(folder):
            yield
    finally:
        os.environ.update(saved)
