"""What `hrm adapt` makes of tasks that a model was not trained with, by what it learns of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.arc_family import MIRRORS, write_tasks
from benchmarks.checkpoint import logging_to
from benchmarks.clock import seconds, threads
from benchmarks.table import Table, number
from hrm.config import (
    AdaptSettings,
    BuildSettings,
    Experiment,
    HaltingSettings,
    ModelSettings,
    OptimizerSettings,
    RegisterSettings,
    TrainSettings,
)
from hrm.data.build import build_dataset
from hrm.evaluation.score import wilson
from hrm.puzzles import Arc
from hrm.stages.adapt import adapt
from hrm.stages.train import train

BUILD = BuildSettings(puzzle=Arc(canvas_size=3), sources=["family"], variants=1)
REGISTER = RegisterSettings(description="A benchmark; never registered.")
TRAIN = TrainSettings(
    model=ModelSettings(hidden=32, heads=2, H_layers=1, L_layers=1, H_cycles=1, L_cycles=1),
    halting=HaltingSettings(max_steps=1),
    optimizer=OptimizerSettings(lr=0.01, puzzle_lr=0.1, warmup_steps=20, lr_min_ratio=0.05),
    batch_size=64,
    eval_every=1000,
    processes=1,
    precision="float32",
    compile=False,
)


@dataclass(frozen=True)
class Family:
    """Tasks of one sort, and how long they are learned."""

    name: str
    mirrors: int
    trained: int
    """Tasks that the model is trained on."""
    asked: int
    """Others that it is adapted to."""
    epochs: int
    """Of the training."""
    steps: int
    """Of the adaptation."""
    weights: bool
    """Whether learning the weights as well is tried."""


FAMILIES = (
    Family("paint", 1, trained=30, asked=20, epochs=140, steps=60, weights=False),
    Family("paint and mirror", len(MIRRORS), trained=120, asked=40, epochs=220, steps=200, weights=True),
)


def measure(quick: bool) -> list[Table]:
    """One table: a row for each family and what is learned of it."""
    with TemporaryDirectory() as name, logging_to(Path(name)):
        rows = [row for family in FAMILIES for row in _rows(Path(name) / family.name, family, quick)]
    note = (
        "Generated tasks (`benchmarks/arc_family.py`): each paints its grids in a colour of its own and may mirror "
        "them, which a test input alone does not tell. A model of hidden 32 learns "
        + " and ".join(f"{family.trained} tasks ({family.name})" for family in FAMILIES)
        + ", then is adapted to others, each with two variants; "
        f"{threads()}."
    )
    columns = ("tasks, and what is learned of them", "pass@2 (95 % interval)", "s")
    return [Table("Tasks that a model was not trained with", note, columns, rows)]


def _rows(folder: Path, family: Family, quick: bool) -> Iterator[tuple[str, ...]]:
    trained, asked = (6, 3) if quick else (family.trained, family.asked)
    write_tasks(folder / "raw/family/training", trained, seed=1, mirrors=family.mirrors)
    write_tasks(folder / "raw/family/evaluation", 1, seed=2, mirrors=family.mirrors)
    write_tasks(folder / "tasks", asked, seed=3, mirrors=family.mirrors)
    build_dataset(BUILD, folder / "raw", folder / "built")
    settings = TRAIN.model_copy(update={"epochs": 2 if quick else family.epochs})
    train(settings, folder / "built", folder / "run", "family")
    steps = 2 if quick else family.steps
    nothing = AdaptSettings(steps=0, batch_size=64, puzzle_lr=0.1, variants=2)
    embeddings = nothing.model_copy(update={"steps": steps})
    tried = {"nothing": nothing, f"embeddings, {steps} steps of 64": embeddings}
    if family.weights:
        tried[f"embeddings and weights, {steps} steps of 64"] = embeddings.model_copy(update={"weights": True})
    for place, (what, how) in enumerate(tried.items()):
        out = folder / f"adapted-{place}"
        experiment = Experiment.model_validate(
            {"name": "family", "sources": {}, "build": BUILD, "register": REGISTER, "adapt": how}
        )
        given = (experiment, [folder / "tasks"], folder / "run/checkpoints", folder / "built", out)
        took = seconds(partial(adapt, *given))
        share = json.loads((out / "adapt.json").read_text())["pass@2"]
        low, high = wilson(share, asked)
        figure = f"{share:.1%} ({low:.1%} to {high:.1%}) of {asked}"
        yield f"{family.name}: {what}", figure, number(took)
