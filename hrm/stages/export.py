"""A dataset in the published layout, for tools that read it."""

from __future__ import annotations

from pathlib import Path

from hrm.artifacts import written_beside
from hrm.data.dataset import open_dataset
from hrm.data.published import write_published
from hrm.errors import UserError
from hrm.progress import note

CONTENT = {"identifiers.json", "train", "test"}
"""What lies at the top of a folder in the published layout."""


def export(dataset: Path, out: Path) -> None:
    """Write a dataset in the published layout, atomically; see `hrm.data.published`.

    Args:
        dataset: the dataset folder.
        out: the folder to write; an earlier export there is replaced.

    Raises:
        UserError: when the dataset cannot be opened, has too many examples for the layout, or `out` holds anything that
            is no export.
    """
    data = open_dataset(dataset)
    if out.is_dir() and (other := sorted({file.name for file in out.iterdir()} - CONTENT)):
        raise UserError(f"{out}: {other[0]} is in this folder, which an export would replace; name a new one")
    with written_beside(out) as folder:
        write_published(folder, data)
    note(f"{out}: {dataset} in the published layout")
