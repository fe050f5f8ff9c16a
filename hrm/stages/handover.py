"""A run's folder in parts: what steps hand to each other where they share no folder.

Training, evaluation and voting each leave an artifact, a folder; together they are what `runs/<experiment>` holds.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hrm.artifacts import copied, link_or_copy, written_beside
from hrm.errors import UserError
from hrm.settings import SettingsT, validate, whole_again
from hrm.tracking.points import SPOOL
from hrm.tracking.record import PLACE, WANDB_PLACE

TRAINED = ("checkpoints", "curves.csv", "train.json", "train.provenance.json", PLACE, SPOOL, WANDB_PLACE)
"""What `train` leaves in a run's folder; the last three only where MLflow was reached, where it does not have every
point, and where the run is in W&B as well."""
VOTED = ("answers", "report.html", "vote.json", "vote.provenance.json")
"""What `vote` adds to what `evaluate` wrote."""


def settings_of(model: type[SettingsT], block: Mapping[str, Any]) -> SettingsT:
    """A block of settings as a step gets it from the one before.

    Raises:
        UserError: naming the key that is not allowed.
    """
    return validate(model, whole_again(block), model.__name__)


@contextmanager
def workspace() -> Iterator[Path]:
    """An empty run's folder until the block ends."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder)


@contextmanager
def gathered(*artifacts: Path) -> Iterator[Path]:
    """A run's folder, of what is in the artifacts, until the block ends; the artifacts stay as they are.

    Raises:
        UserError: when an artifact holds a link, which may lead to a secret of this machine, or what is no file.
    """
    with workspace() as run:
        for artifact in artifacts:
            require_plain(artifact)
            shutil.copytree(artifact, run, dirs_exist_ok=True, copy_function=link_or_copy)
        yield run


def require_plain(artifact: Path) -> None:
    """Refuse an artifact with a link in it, or with what is no file."""
    for path in artifact.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: a link or no file; an artifact holds files and folders alone")


def hand_over(run: Path, names: Iterable[str], artifact: Path) -> None:
    """Write an artifact, atomically, of the files and folders of a run that are there."""
    with written_beside(artifact) as beside:
        beside.mkdir()
        for name in names:
            if (run / name).exists():
                copied(run / name, beside / name)
