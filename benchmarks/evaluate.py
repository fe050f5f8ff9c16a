"""How many puzzles a second an evaluation answers: all segments, or until the model prefers to halt.

The two take turns on the same trained model and the same puzzles, so that whatever else the machine does slows both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.checkpoint import logging_to
from benchmarks.clock import alone, seconds, threads
from benchmarks.table import Table, number
from hrm.config import Experiment, load_experiment
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import open_dataset
from hrm.evaluation.plan import Plan
from hrm.evaluation.predict import predict_piece
from hrm.evaluation.score import wilson
from hrm.model.hrm import HRM
from hrm.progress import progress
from hrm.stages.build import build
from hrm.stages.fetch import fetch
from hrm.stages.train import train
from hrm.training.card import load_model

EXPERIMENT = "sudoku-mini"
SEGMENTS = (8, 16)
"""Most segments of a puzzle in training: the published 16, and half of them."""
COPIES = 8


@dataclass
class Case:
    """A way to evaluate, and how it went."""

    name: str
    plan: Plan
    taken: list[float] = field(default_factory=list)
    """Seconds of each turn."""
    exact: int = 0
    steps: int = 0


def measure(quick: bool) -> list[Table]:
    """One table: for each model a row for `steps: max` and one for `steps: halt`."""
    overrides = ["train.processes=1"]
    if quick:
        overrides += ["train.epochs=2", "train.eval_every=2", "train.compile=false", "build.variants=2"]
        overrides += [f"sources.sudoku-4x4.generator.{split}=20" for split in ("train", "test")]
    turns, rows = 2 if quick else 7, []
    for segments in SEGMENTS:
        settings = [*overrides, f"train.halting.max_steps={segments}"]
        experiment = load_experiment(EXPERIMENT, Path("params.yaml"), settings)
        with TemporaryDirectory() as name, logging_to(Path(name)):
            cases = _measured(Path(name), experiment, turns)
        rows += [_row(case, cases[0]) for case in cases]
    note = (
        f"`{EXPERIMENT}`, trained with at most so many segments, on {len(cases[0].plan):,} copies of test puzzles, "
        f"batch {cases[0].plan.batch_size}; {threads()}; medians of {turns} turns."
    )
    columns = ("what", "puzzles/s", "ratio", "segments a puzzle", "exact (95 % interval)")
    return [Table("Evaluation", note, columns, rows)]


def _measured(folder: Path, experiment: Experiment, turns: int) -> list[Case]:
    fetch(experiment.sources, folder / "raw")
    build(experiment.build, folder / "raw", folder / "built")
    train(experiment.train, folder / "built", folder / "run", experiment.name)
    dataset = open_dataset(folder / "built")
    model = load_model(folder / "run/checkpoints", str(alone().device)).model
    copies = symmetric_copies(dataset, copies=COPIES, max_puzzles=None, seed=0)
    batch_size, segments = experiment.evaluate.batch_size, experiment.train.halting.max_steps
    cases = [
        Case(f"`steps: {how}`, at most {segments}", Plan(copies, batch_size, segments, halt=how == "halt"))
        for how in ("max", "halt")
    ]
    for turn in progress(range(turns + 1), desc="evaluate", unit="turn"):
        for case in cases:
            taken = seconds(partial(_evaluate, model, case))
            case.taken += [taken] * (turn > 0)  # the first one warms up
    return cases


def _evaluate(model: HRM, case: Case) -> None:
    case.exact = case.steps = 0
    for number_of_piece in range(case.plan.num_pieces):
        found = predict_piece(model, case.plan, number_of_piece, 0).predictions
        case.exact += int(found.exact.sum())
        case.steps += int(np.sum(found.steps))


def _row(case: Case, base: Case) -> tuple[str, ...]:
    count = len(case.plan)
    low, high = wilson(case.exact / count, count)
    return (
        case.name,
        number(count / median(case.taken)),
        f"{median(base.taken) / median(case.taken):.2f}",
        f"{case.steps / count:.2f}",
        f"{case.exact / count:.1%} ({low:.1%} to {high:.1%})",
    )
