"""Tables from a data set repository on the Hugging Face hub, such as `sapientinc/sudoku-extreme`."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Literal

from hrm.errors import UserError
from hrm.sources.base import Origin, check_digest, downloads
from hrm.sources.download import download, patiently, promise
from hrm.sources.raw_files import TABLES


class HubSource(Origin):
    """The files `train.csv` and `test.csv` of a data set repository.

    The library's own settings hold: `HF_ENDPOINT` for a mirror, `HF_TOKEN` for private and gated repositories,
    `HF_HUB_OFFLINE`.
    """

    origin: Literal["hub"] = "hub"
    repository: str
    """`owner/name` of the data set repository."""
    revision: str = "main"
    """Branch, tag or commit; only a commit always names the same content. Where a branch has moved, the source is
    fetched again."""

    def version(self) -> str | None:
        """The commit that the revision names now; None where the hub does not tell."""
        if re.fullmatch("[0-9a-f]{40}", self.revision):
            return self.revision
        _set_up()
        try:
            return promise(self.repository, TABLES[0], self.revision).commit
        except Exception as error:
            if _explain(error) is None:
                raise
            return None  # `fetch` says what is wrong, if it comes to that

    def fetch(self, name: str, into: Path) -> str:
        """Download the two tables, from one commit, and check them if `name` is that of a published source.

        What came of a download that breaks off is kept, and the next attempt goes on from there.

        Raises:
            UserError: when the hub cannot be reached, or does not have them, or does not give them, or other bytes came
                than it promised.
        """
        _set_up()
        kept, revision = downloads(name, into), self.revision
        kept.mkdir(parents=True, exist_ok=True)
        parts = {}
        for table in TABLES:
            where = f"sources.{name}: {table} of {self.repository} at {self.revision}"
            try:
                promised = patiently(partial(promise, self.repository, table, revision), where)
                # The first file fixes the commit: the branch may move between the two.
                revision = promised.commit
                parts[table] = kept / f"{table}.{revision}"
                patiently(partial(download, promised, parts[table]), where)
            except Exception as error:
                if (problem := _explain(error)) is None:
                    raise
                raise UserError(f"{where}: {problem}") from None
        for table, part in parts.items():
            part.replace(into / table)
        check_digest(
            name,
            into,
            f"{self.repository} at {self.revision}",
            "name the documented revision, or give the source another name",
        )
        return revision


def _set_up() -> None:
    """Let the library neither phone home, where it would wait on a closed network, nor speak beside our own lines."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Imported here because it is slow to load, and reads the environment once, when it is loaded.
    from huggingface_hub.utils.logging import set_verbosity_error

    set_verbosity_error()  # type: ignore[no-untyped-call]


def _explain(error: Exception) -> str | None:
    """What went wrong and the remedy, in a line; None if it is a bug of ours."""
    from huggingface_hub import constants, errors

    reason = " ".join(str(error).split()) or type(error).__name__
    match error:
        case UserError():
            return reason
        case errors.HFValidationError():
            return "not the name of a repository; expected owner/name"
        case errors.GatedRepoError():
            return "access is granted on request; ask for it on the repository's page and set HF_TOKEN"
        case errors.RepositoryNotFoundError():
            return "no such data set repository, or a private one; check the name or set HF_TOKEN"
        case errors.RevisionNotFoundError():
            return "no such revision; check the source's revision"
        case errors.EntryNotFoundError():
            return "no such file in the repository; it must have train.csv and test.csv"
        case errors.HfHubHTTPError():
            status = error.response.status_code
            remedy = "check HF_TOKEN" if status in (401, 403) else "try again later"
            return f"the hub answered with status {status}; {remedy}"
        case errors.OfflineModeIsEnabled():
            return f"{constants.ENDPOINT} cannot be reached; unset HF_HUB_OFFLINE, or use a folder"
        case errors.HTTPError():  # type: ignore[attr-defined]
            return f"no connection to {constants.ENDPOINT} ({reason}); check the network and HF_ENDPOINT, and try again"
        case OSError():
            return f"{reason}; try again"
    return None
