"""From a folder as somebody keeps it, on a disk or in a repository, to the canonical form of a source."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from hrm.errors import UserError
from hrm.puzzles.arc_tasks import EVALUATION, TRAINING, read_task, write_task

Kind = Literal["arc", "table"]

TABLES = ("train.csv", "test.csv")
"""The files of a source in the published columns."""


def write_canonical(kind: Kind, folder: Path, into: Path) -> None:
    """Write the puzzles of a folder in canonical form.

    ARC: every `.json` below the folder is a task named after its file. Those below a folder `evaluation` are
    evaluation tasks and all others training tasks, as the published data takes ConceptARC's `corpus/<Concept>/`.
    Tables: `train.csv` and `test.csv`, byte for byte.

    Raises:
        UserError: when a file is missing or damaged.
    """
    if kind == "arc":
        _write_tasks(folder, into)
    else:
        _copy_tables(folder, into)


def _write_tasks(folder: Path, into: Path) -> None:
    files: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.json")):
        if file.stem in files:
            raise UserError(f"{file}: {files[file.stem]} has the same task id; rename or remove one of them")
        files[file.stem] = file
        subset = EVALUATION if EVALUATION in file.relative_to(folder).parts[:-1] else TRAINING
        write_task(read_task(file), into, subset, file.stem)
    if not files:
        raise UserError(f"{folder}: no task files (*.json) in it or below; name the folder that has them")


def _copy_tables(folder: Path, into: Path) -> None:
    for table in TABLES:
        if not (folder / table).is_file():
            raise UserError(f"{folder / table}: no such file; a table source needs {' and '.join(TABLES)}")
        shutil.copyfile(folder / table, into / table)
