"""What an origin of raw puzzles is: settings that know how to write canonical raw files."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from importlib import resources
from pathlib import Path

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.settings import Settings


class Origin(Settings, ABC):
    """Where a source comes from.

    Its canonical form is one of two, the same bytes whatever the origin:

    - ARC: `{training,evaluation}/<task>.json`, see `hrm.puzzles.arc_tasks`;
    - every other kind: `train.csv` and `test.csv` in the published columns `source,question,answer,rating`.
    """

    origin: str
    """The name of the origin, which `params.yaml` selects it by."""

    @abstractmethod
    def fetch(self, name: str, into: Path) -> str:
        """Write the canonical files of the source called `name` into the empty folder `into`.

        Returns:
            The version that was fetched, as `version` tells it.

        Raises:
            UserError: when they cannot be had, or are not what they should be; with the remedy.
        """

    def version(self) -> str | None:
        """What the settings lead to now; a change means to fetch again.

        Returns:
            A commit, a digest, a version; empty where the settings say all; None where it cannot be told now, so that
            what is there already will do.

        Raises:
            UserError: when they lead to nothing.
        """
        return ""


def downloads(name: str, into: Path) -> Path:
    """Where the source called `name`, fetched into `into`, keeps what an attempt that broke off leaves to the next."""
    return into.with_name(f".{name}.download")


def known_digests() -> dict[str, str]:
    """Content digests (`hrm.artifacts.digest` of the canonical folder) of published sources, by name."""
    text = resources.files("hrm.sources").joinpath("digests.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known


def check_digest(published: str, content: Path, where: str, remedy: str) -> None:
    """Compare canonical files with the digest that is on record, if `published` is the name of a published source.

    Args:
        published: the name of the source.
        content: the canonical folder.
        where: what the user named: a package, a folder, a repository.
        remedy: what to do about a difference.

    Raises:
        UserError: when they differ.
    """
    expected = known_digests().get(published)
    if expected is not None and (actual := digest(content)) != expected:
        raise UserError(f"{where}: not the published {published} (digest {actual[:12]}, not {expected[:12]}); {remedy}")
