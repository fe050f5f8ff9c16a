"""Raw puzzles from a local folder: a clone of a repository, or files of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.puzzles.arc_tasks import EVALUATION, TRAINING, read_task, write_task
from hrm.sources.base import Origin, check_digest, known_digests

TABLES = ("train.csv", "test.csv")
"""The files of a source in the published columns."""


class FolderSource(Origin):
    """A folder of ARC task files or of tables.

    ARC: every `.json` below the folder is a task named after its file. Those below a folder `evaluation` are
    evaluation tasks and all others training tasks, as the published data takes ConceptARC's `corpus/<Concept>/`.
    Tables: `train.csv` and `test.csv`.
    """

    origin: Literal["folder"] = "folder"
    path: Path
    """The folder, relative to where the command runs; DVC notices a change in it if it lies below `external/`."""
    kind: Literal["arc", "table"]
    """What the folder holds."""

    def version(self) -> str:
        """The digest of the folder, so that a change in it is noticed.

        Raises:
            UserError: when there is no such folder.
        """
        self._check()
        return digest(self.path, "*.json" if self.kind == "arc" else "*.csv")

    def fetch(self, name: str, into: Path) -> None:
        """Copy the folder's puzzles, and check them if `name` is that of a published source.

        Raises:
            UserError: when the folder or a file in it is missing or damaged.
        """
        self._check()
        if self.kind == "arc":
            self._copy_tasks(into)
        else:
            self._copy_tables(into)
        if name in known_digests():
            remedy = "check out the version named in the documentation, or give the source another name"
            check_digest(name, into, str(self.path), remedy)

    def _check(self) -> None:
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder; put the puzzles there or correct the source's path")

    def _copy_tasks(self, into: Path) -> None:
        files: dict[str, Path] = {}
        for file in sorted(self.path.rglob("*.json")):
            if file.stem in files:
                raise UserError(f"{file}: {files[file.stem]} has the same task id; rename or remove one of them")
            files[file.stem] = file
            subset = EVALUATION if EVALUATION in file.relative_to(self.path).parts[:-1] else TRAINING
            write_task(read_task(file), into, subset, file.stem)
        if not files:
            raise UserError(f"{self.path}: no task files (*.json) in it or below; correct the source's path")

    def _copy_tables(self, into: Path) -> None:
        for table in TABLES:
            if not (self.path / table).is_file():
                raise UserError(f"{self.path / table}: no such file; a table source needs {' and '.join(TABLES)}")
            shutil.copyfile(self.path / table, into / table)
