"""Raw puzzles from one commit of a Git repository, such as `fchollet/ARC-AGI` or `victorvikram/ConceptARC`."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from hrm.artifacts import remove
from hrm.sources.base import Origin, check_digest, downloads
from hrm.sources.git_commands import Repository
from hrm.sources.raw_files import TABLES, Kind, write_canonical

SCHEMES = {"https", "http", "ssh", "git", "file"}


class GitSource(Origin):
    """The ARC task files or the tables of a commit, see `hrm.sources.raw_files`.

    Only the whole id of a commit is taken: it names its content, whoever serves it. A branch, a tag or the beginning of
    an id names whatever the server says.
    """

    origin: Literal["git"] = "git"
    repository: str
    """Its address: `https://`, `http://`, `ssh://`, `git://`, `file://`, `user@host:path`, or a local path. It holds no
    password or token: Git asks a credential helper, or the program that `GIT_ASKPASS` names."""
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    """The whole id of the commit, 40 hexadecimal digits."""
    kind: Kind
    """What the commit holds."""
    subfolder: str = ""
    """The folder of the repository that holds it; empty: all of it."""

    # Not a validator of the field: its message would show the value, and with it the password.
    @model_validator(mode="after")
    def _safe(self) -> GitSource:
        scheme, separator, _ = self.repository.partition("://")
        if separator and scheme not in SCHEMES:
            raise ValueError(f"repository: an address begins with one of {', '.join(sorted(SCHEMES))}, and ://")
        if self.repository.startswith("-") or "::" in self.repository.partition("/")[0] or not self.repository:
            raise ValueError("repository: expected an address or a path, neither an option nor a remote helper")
        if separator and _has_secret(self.repository):
            raise ValueError(
                "repository: leave the password or token out of it; Git asks its credential helper or GIT_ASKPASS"
            )
        if self.subfolder.startswith("/") or ".." in PurePosixPath(self.subfolder).parts:
            raise ValueError("subfolder: expected a path inside the repository")
        return self

    def version(self) -> str:
        """The commit."""
        return self.commit

    def fetch(self, name: str, into: Path) -> str:
        """Fetch the commit and write its puzzles, and check them if `name` is that of a published source.

        Nothing is checked out: files are read from Git's own storage, so that no hook, filter, line ending or symbolic
        link plays a part, and submodules are left alone.

        Raises:
            UserError: when `git` is missing, the repository cannot be reached or lacks the commit or the folder, or a
                file is missing or damaged.
        """
        work = downloads(name, into)
        remove(work)
        repository = Repository(work / "git", f"sources.{name}: {self.repository}")
        repository.fetch(self.repository, self.commit)
        self._extract(repository, work / "files")
        write_canonical(self.kind, work / "files", into)
        check_digest(name, into, self.repository, "name the documented commit, or give the source another name")
        remove(work)
        return self.commit

    def _extract(self, repository: Repository, folder: Path) -> None:
        """Write the files that may hold puzzles, and no others, below a folder."""
        tree = f"{self.commit}:{self.subfolder.strip('/')}"
        listing = repository.run("ls-tree", "-r", "-z", tree, failure=f"no folder {self.subfolder} in the commit")
        wanted: dict[Path, str] = {}
        for entry in listing.decode(errors="surrogateescape").split("\0")[:-1]:
            about, _, path = entry.partition("\t")
            mode, _, blob = about.split()
            inner = PurePosixPath(path)
            # A mode 100... is a file; links and submodules have others. Git's own check of names is not relied upon.
            if mode.startswith("100") and self._is_wanted(inner) and not {"..", "."} & {*path.split("/")}:
                wanted[folder / inner] = blob
        folder.mkdir(parents=True)
        contents = io.BytesIO(repository.run("cat-file", "--batch", given="\n".join(wanted.values()).encode()))
        for file in wanted:
            size = int(contents.readline().split()[2])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(contents.read(size))
            contents.read(1)

    def _is_wanted(self, path: PurePosixPath) -> bool:
        return path.suffix == ".json" if self.kind == "arc" else str(path) in TABLES


def _has_secret(address: str) -> bool:
    """Whether an address may hold one: any name before the host, but for SSH, where it is the account's."""
    try:
        parts = urlsplit(address)
        return parts.password is not None or (parts.scheme != "ssh" and "@" in parts.netloc)
    except ValueError:
        return "@" in address
