"""Downloads that wait for a busy server, go on where they broke off, and are compared with what the server promised.

They use the client of `huggingface_hub`, which knows proxies, tokens and redirects. Its own `hf_hub_download` starts
anew in each process, gives up at a server's first error 500, and does not look at what came.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.progress import note

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, unless the server says how long to wait."""
LONGEST = 120.0
"""The most seconds to wait because a server says so."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Promise:
    """What a hub says about a file before it sends it."""

    url: str
    commit: str
    etag: str
    """SHA-256 of a large file, Git's SHA-1 of a small one; of a mirror, anything."""
    size: int
    """Bytes."""


def promise(repository: str, file: str, revision: str) -> Promise:
    """Ask the hub of `HF_ENDPOINT` about a file of a data set repository.

    Raises:
        UserError: when what answers is no hub.
        Exception: as `huggingface_hub` raises, when the hub refuses or cannot be reached.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    address = {"repo_id": repository, "filename": file, "repo_type": "dataset"}
    said = get_hf_file_metadata(hf_hub_url(**address, revision=revision))
    if not re.fullmatch("[0-9a-f]{40}", said.commit_hash or "") or said.etag is None or said.size is None:
        raise UserError(f"{constants.ENDPOINT} does not answer as a hub does; check HF_ENDPOINT")
    commit = str(said.commit_hash)
    return Promise(hf_hub_url(**address, revision=commit), commit, said.etag, said.size)


def download(promised: Promise, file: Path) -> None:
    """Bring a file to `file`, which may hold the beginning already.

    Raises:
        UserError: when other bytes came than were promised; they are removed.
        Exception: as `huggingface_hub` raises, when the connection breaks off; what came is kept.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    with file.open("ab") as stream:
        there = stream.tell()
        if there < promised.size:
            # Compressed bytes could not be gone on from: their number says nothing about the file's.
            headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
            http_get(promised.url, stream, resume_size=there, headers=headers, displayed_filename=file.name)
    if problem := _difference(promised, file):
        file.unlink()
        raise UserError(f"the file that came is damaged ({problem}); fetch it again")


def _difference(promised: Promise, file: Path) -> str | None:
    size = file.stat().st_size
    if size != promised.size:
        return f"{size} bytes, not {promised.size}"
    if re.fullmatch("[0-9a-f]{64}", promised.etag):
        name, actual = "SHA-256", digest(file)
    elif re.fullmatch("[0-9a-f]{40}", promised.etag):
        name, actual = "SHA-1", hashlib.sha1(b"blob %d\0" % size + file.read_bytes(), usedforsecurity=False).hexdigest()
    else:
        return None
    return None if actual == promised.etag else f"{name} {actual[:12]}, not {promised.etag[:12]}"


def patiently(action: Callable[[], Result], what: str) -> Result:
    """The result of an action, which is tried again while a server is busy, fails, or breaks off.

    Args:
        action: a request; each time it goes on where it was.
        what: what it is about, for the notes.

    Raises:
        Exception: that of the last attempt, or the first that waiting does not mend.
    """
    for pause in PAUSES:
        try:
            return action()
        except Exception as error:
            wait = _wait(error, pause)
            if wait is None:
                raise
            note(f"{what}: {_status(error) or type(error).__name__}; trying again in {wait:g} s")
        time.sleep(wait)
    return action()


def _wait(error: Exception, pause: float) -> float | None:
    """Seconds to wait before another attempt; None if that would not help."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status not in (408, 429) and status < 500:
            return None
        with suppress(KeyError, ValueError):  # it may be missing, or be a date
            pause = max(pause, min(float(error.response.headers["Retry-After"]), LONGEST))
        return pause
    # Whichever client the library uses, the errors of its connections come under this name.
    return pause if isinstance(error, HTTPError) else None


def _status(error: Any) -> str | None:
    response = getattr(error, "response", None)
    return None if response is None else f"the server answered with status {response.status_code}"
