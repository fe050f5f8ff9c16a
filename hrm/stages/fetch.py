"""The first link of the chain: from a source's settings to raw files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hrm.artifacts import digest, read_json, remove, write_json, written_beside
from hrm.errors import UserError
from hrm.progress import note, progress
from hrm.sources import Origin, Source
from hrm.sources.base import downloads


def fetch(sources: Mapping[str, Source], into: Path) -> None:
    """Bring each source into `into/<name>`, unless it is there already.

    The record `into/<name>.source.json` holds the settings, the version that they led to (a commit, the digest of a
    folder, the version of a package) and the content digest. A source is fetched again when its settings or what they
    lead to have changed, or when the files are no longer those of the record. Whatever goes wrong, what was there
    before stays. Several processes may fetch the same source: one does, the others wait for it.

    Raises:
        UserError: when a source cannot be had; the sources before it are complete.
    """
    into.mkdir(parents=True, exist_ok=True)  # an output that DVC looks for, also where there are no sources
    for name, source in progress(sources.items(), total=len(sources), desc="fetch", unit="source"):
        folder, record = into / name, into / f"{name}.source.json"
        settings, version = source.model_dump(mode="json"), source.version()
        if _is_there(folder, record, settings, version):
            note(f"{folder}: already fetched")
            continue
        with _alone(folder):
            if _is_there(folder, record, settings, version):
                note(f"{folder}: fetched by another process")
                continue
            if folder.exists():
                note(f"{folder}: differs from {record} or from the settings; fetching again")
            _fetch(source, name, folder, record)
            note(f"{folder}: fetched")


def _fetch(source: Origin, name: str, folder: Path, record: Path) -> None:
    with written_beside(folder) as beside:
        beside.mkdir()
        version = source.fetch(name, beside)
        content = digest(beside)
    write_json(record, {"settings": source.model_dump(mode="json"), "version": version, "digest": content})
    remove(downloads(name, folder))


def _is_there(folder: Path, record: Path, settings: dict[str, Any], version: str | None) -> bool:
    """Whether the files are those of the record, and the record is of these settings; and of the version, if known."""
    if not folder.is_dir() or not record.is_file():
        return False
    try:
        found = read_json(record)
        recorded = found["version"] if version is None else version
    except (UserError, KeyError, TypeError):
        return False
    return bool(found == {"settings": settings, "version": recorded, "digest": digest(folder)})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from writing the same folder; the lock ends with the process, however it ends."""
    path = folder.with_name(f".{folder.name}.lock")
    while True:
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note(f"{folder}: another process fetches it; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Who held it before has removed it: a third may have made another one by now.
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                continue
            try:
                yield
            finally:
                path.unlink()
            return
