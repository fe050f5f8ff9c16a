"""What voting takes at the size of the published evaluation of ARC-AGI-1: time, memory, disk.

The answers are made up, most of them wrong in one of several hundred ways, so that as many candidates are counted as a
model that is seldom right would give.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from benchmarks.build import WATCH
from benchmarks.table import Table, number
from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.copies import Copies, symmetric_copies
from hrm.data.dataset import open_dataset
from hrm.errors import UserError
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.effort import efforts, rules_for
from hrm.evaluation.predictions import PART, Predictions, open_predictions, pack, write_about, write_part
from hrm.evaluation.vote import ranked_in
from hrm.progress import progress
from hrm.puzzles import Arc
from hrm.puzzles.base import Grids
from hrm.sources.package import PackageSource

SOURCE = "arc-agi-1"
WRONG = 0.7
"""Share of the answers that are wrong."""
Value = TypeVar("Value")


def measure(quick: bool) -> list[Table]:
    """One table: what a process does with the predictions, one thing after the other."""
    settings = BuildSettings(puzzle=Arc(), sources=[SOURCE], variants=3 if quick else 1000, subsample=None)
    with TemporaryDirectory() as name:
        folder = Path(name)
        PackageSource(dataset=SOURCE).fetch("arc", folder / "raw" / SOURCE)
        build_dataset(settings, folder / "raw", folder / "built")
        copies = symmetric_copies(open_dataset(folder / "built"), copies=None, max_puzzles=None, seed=0)
        _write(copies, folder / "predictions")
        disk = sum(file.stat().st_size for file in (folder / "predictions").iterdir())
        command = [sys.executable, "-c", WATCH, sys.executable, "-m", "benchmarks.vote", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise UserError("voting failed")
    *lines, last = done.stdout.splitlines()
    taken: dict[str, float] = json.loads(lines[-1])
    memory = float(last.split()[1])
    note = (
        f"{len(copies):,} made-up predictions for {len(np.unique(copies.example_M)):,} test inputs of ARC-AGI-1, one "
        f"core; {disk / 1e6:,.1f} MB on disk, at most {memory / 1e6:,.0f} MB of memory."
    )
    return [Table("Voting", note, ("what", "seconds"), [(what, number(value)) for what, value in taken.items()])]


def _write(copies: Copies, folder: Path) -> None:
    """The predictions artifact of a made-up model."""
    puzzle, truths, rng = copies.dataset.puzzle, copies.dataset.test.answers, np.random.default_rng(0)
    folder.mkdir()
    for number_of_part in progress(range(-(-len(copies) // PART)), desc="answers", unit="part"):
        rows = np.arange(number_of_part * PART, min((number_of_part + 1) * PART, len(copies)))
        answers = truths.take(copies.example_M[rows])
        cells, wrong_M = answers.cells.copy(), rng.random(len(rows)) < WRONG
        way_M = rng.integers(0, 500, len(rows))
        cells[wrong_M, 0, 0], cells[wrong_M, -1, -1] = way_M[wrong_M] % 10, 0
        inside_M = (answers.shapes >= 2).all(axis=1) & wrong_M
        cells[inside_M, 0, 1], cells[inside_M, 1, 0] = way_M[inside_M] // 10 % 10, way_M[inside_M] // 100
        sizes = answers.shapes.astype(np.int32).prod(axis=1, dtype=np.int32)
        zeros = np.zeros(len(rows), np.int32)
        part = Predictions(
            examples=copies.example_M[rows].astype(np.int32),
            copies=copies.copy_M[rows].astype(np.int32),
            starts=zeros,
            checkpoints=zeros,
            puzzle_ids=copies.puzzle_ids_M[rows],
            symmetries=copies.symmetries_MK[rows],
            answers=pack(puzzle.transform(Grids(cells, answers.shapes), copies.symmetries_MK[rows])),
            q_halt=rng.normal(size=len(rows)).astype(np.float32),
            steps=np.full(len(rows), 16, np.int32),
            correct_tokens=sizes - wrong_M,
            labelled_tokens=sizes,
        )
        write_part(folder, number_of_part, part)
    write_about(folder, {"dataset_digest": copies.dataset.digest}, len(copies))


def _vote(folder: Path) -> dict[str, float]:
    """Seconds that each step of the stage takes with the predictions in a folder."""
    taken: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Value]) -> Value:
        begin = time.perf_counter()
        value = work()
        taken[what] = time.perf_counter() - begin
        return value

    data = open_dataset(folder / "built")
    predictions = timed("reading", lambda: open_predictions(folder / "predictions", data))
    candidates = timed("mapping back and counting", lambda: candidates_in(predictions, data))
    for rule in rules_for(candidates):
        timed(f"ranking by `{rule}`", partial(ranked_in, predictions, candidates, data, rule))
    timed("accuracy against compute, every rule", lambda: list(efforts(predictions, candidates, rules_for(candidates))))
    return taken


if __name__ == "__main__":
    print(json.dumps(_vote(Path(sys.argv[1]))))  # noqa: T201
