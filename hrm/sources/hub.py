"""Tables from a data set repository on the Hugging Face hub, such as `sapientinc/sudoku-extreme`."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

from hrm.artifacts import remove
from hrm.errors import UserError
from hrm.sources.base import Origin
from hrm.sources.folder import TABLES


class HubSource(Origin):
    """The files `train.csv` and `test.csv` of a data set repository.

    The library's own settings hold: `HF_ENDPOINT` for a mirror, `HF_TOKEN` for private and gated repositories,
    `HF_HUB_OFFLINE`.
    """

    origin: Literal["hub"] = "hub"
    repository: str
    """`owner/name` of the data set repository."""
    revision: str = "main"
    """Branch, tag or commit; only a commit always names the same content."""

    def fetch(self, name: str, into: Path) -> None:
        """Download the two tables.

        Raises:
            UserError: when the hub cannot be reached, or does not have them, or does not give them.
        """
        # It phones home only when asked to: where the network is closed, it would wait.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        # Imported here because it is slow to load, and reads the environment once, when it is loaded.
        import huggingface_hub
        from huggingface_hub.utils.tqdm import disable_progress_bars

        if not logging.getLogger("hrm").isEnabledFor(logging.INFO):
            disable_progress_bars()
        for table in TABLES:
            try:
                huggingface_hub.hf_hub_download(
                    self.repository, table, repo_type="dataset", revision=self.revision, local_dir=into
                )
            except Exception as error:
                problem = self._explain(error)
                if problem is None:
                    raise
                raise UserError(f"sources.{name}: {table} of {self.repository} at {self.revision}: {problem}") from None
        remove(into / ".cache")

    def _explain(self, error: Exception) -> str | None:
        """What went wrong and the remedy, in a line; None if it is a bug of ours."""
        from huggingface_hub import errors

        if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, errors.HfHubHTTPError):
            # The library says so of a refusal, too, since it looks for a local copy then.
            error = error.__cause__
        match error:
            case errors.HFValidationError():
                return "not the name of a repository; expected owner/name"
            case errors.GatedRepoError():
                return "access is granted on request; ask for it on the repository's page and set HF_TOKEN"
            case errors.RepositoryNotFoundError():
                return "no such data set repository, or a private one; check the name or set HF_TOKEN"
            case errors.RevisionNotFoundError():
                return "no such revision; check the source's revision"
            case errors.LocalEntryNotFoundError():
                endpoint = os.environ.get("HF_ENDPOINT", "the Hugging Face hub")
                return f"{endpoint} cannot be reached; check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
            case errors.EntryNotFoundError():
                return "no such file in the repository; it must have train.csv and test.csv"
            case errors.HfHubHTTPError():
                status = error.response.status_code
                remedy = "check HF_TOKEN" if status in (401, 403) else "try again later"
                return f"the hub answered with status {status}; {remedy}"
            # Whichever client the library uses, its errors come under this name.
            case OSError() | errors.HTTPError():  # type: ignore[attr-defined]
                return f"{' '.join(str(error).split()) or type(error).__name__}; try again"
        return None
