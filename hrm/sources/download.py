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
from typing import Any, BinaryIO, TypeVar

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.progress import note, progress

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, unless the server says how long to wait."""
LONGEST = 120.0
"""The most seconds to wait because a server says so."""

PIECE = 1 << 20
"""Bytes that are written at once; a connection that breaks off costs less than that."""
PARTIAL_CONTENT = 206

Result = TypeVar("Result")


@dataclass(frozen=True)
class Promise:
    """What a hub says about a file before it sends it."""

    name: str
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
    return Promise(file, hf_hub_url(**address, revision=commit), commit, said.etag, said.size)


def download(promised: Promise, file: Path) -> None:
    """Bring a file to `file`, which may hold the beginning already.

    Raises:
        UserError: when other bytes came than were promised; they are removed.
        Exception: as `huggingface_hub` raises, when the connection breaks off; what came is kept.
    """
    with file.open("ab") as stream:
        if stream.tell() < promised.size:
            _receive(promised, stream)
    if problem := _difference(promised, file):
        file.unlink()
        raise UserError(f"the file that came is damaged ({problem}); fetch it again")


def _receive(promised: Promise, stream: BinaryIO) -> None:
    """Append what is missing, a piece at a time."""
    from huggingface_hub import constants, utils

    there = stream.tell()
    # Compressed bytes could not be gone on from: their number says nothing about the file's.
    headers = {**utils.build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={there}-"}  # type: ignore[attr-defined]
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with utils.get_session().stream("GET", promised.url, headers=headers, timeout=timeout) as response:  # type: ignore[attr-defined]
        utils.hf_raise_for_status(response)  # type: ignore[attr-defined]
        if response.status_code != PARTIAL_CONTENT:  # the server sends all of it, whatever is asked for
            stream.truncate(there := 0)
        pieces, total = response.iter_bytes(PIECE), -(-promised.size // PIECE)
        for piece in progress(pieces, total=total, initial=there // PIECE, desc=promised.name, unit="MiB"):
            stream.write(piece)


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
            note(f"{what}: {_reason(error)}; trying again in {wait:g} s")
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


def _reason(error: Any) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered with status {response.status_code}"
    return " ".join(str(error).split()) or type(error).__name__
