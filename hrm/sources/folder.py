"""Raw puzzles from a local folder: a clone of a repository, or files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.sources.base import Origin, check_digest
from hrm.sources.raw_files import Kind, write_canonical


class FolderSource(Origin):
    """A folder of ARC task files or of tables, see `hrm.sources.raw_files`."""

    origin: Literal["folder"] = "folder"
    path: Path
    """The folder, relative to where the command runs; DVC notices a change in it if it lies below `external/`."""
    kind: Kind
    """What the folder holds."""

    def version(self) -> str:
        """The digest of the folder, so that a change in it is noticed.

        Raises:
            UserError: when there is no such folder.
        """
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder; put the puzzles there or correct the source's path")
        return digest(self.path, "*.json" if self.kind == "arc" else "*.csv")

    def fetch(self, name: str, into: Path) -> str:
        """Copy the folder's puzzles, and check them if `name` is that of a published source.

        Raises:
            UserError: when the folder or a file in it is missing or damaged.
        """
        version = self.version()
        write_canonical(self.kind, self.path, into)
        remedy = "check out the version named in the documentation, or give the source another name"
        check_digest(name, into, str(self.path), remedy)
        return version
