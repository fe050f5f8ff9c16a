"""The first link of the chain: from a source's settings to raw files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrm.artifacts import digest, read_json, write_json, written_beside
from hrm.errors import UserError
from hrm.progress import note, progress
from hrm.sources import Source


def fetch(sources: Mapping[str, Source], into: Path) -> None:
    """Bring each source into `into/<name>`, unless it is there already.

    The record `into/<name>.source.json` holds the settings and the content digest. A source is fetched again when its
    settings or what they lead to have changed, or when the files are no longer those of the record. Whatever goes
    wrong, what was there before stays.

    Raises:
        UserError: when a source cannot be had; the sources before it are complete.
    """
    into.mkdir(parents=True, exist_ok=True)  # an output that DVC looks for, also where there are no sources
    for name, source in progress(sources.items(), total=len(sources), desc="fetch", unit="source"):
        folder, record = into / name, into / f"{name}.source.json"
        wanted = {"settings": source.model_dump(mode="json"), "version": source.version()}
        if _is_there(folder, record, wanted):
            note(f"{folder}: already fetched")
            continue
        with written_beside(folder) as beside:
            beside.mkdir()
            source.fetch(name, beside)
            content = digest(beside)
        write_json(record, {**wanted, "digest": content})
        note(f"{folder}: fetched")


def _is_there(folder: Path, record: Path, wanted: dict[str, Any]) -> bool:
    if not folder.is_dir() or not record.is_file():
        return False
    try:
        found = read_json(record)
    except UserError:
        return False
    if found == {**wanted, "digest": digest(folder)}:
        return True
    note(f"{folder}: differs from {record} or from the settings; fetching again")
    return False
