"""Writing artifacts so that a stop at any moment leaves either the old one or the new one, and naming their content."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hrm.errors import UserError


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """A path beside `target` to write a file or a folder at; it takes the target's name when the block ends well.

    When the block raises, what was written is removed and the target stays as it was. What a killed process left beside
    is removed by the next one that writes the same target.

    Raises:
        UserError: when the target is a folder and a file was written, or the other way round.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside, old = (target.with_name(f".{target.name}.{suffix}") for suffix in ("part", "old"))
    if old.exists() and not target.exists():
        old.rename(target)  # killed between the two renames below
    remove(old)
    remove(beside)
    try:
        yield beside
        _flush(beside)
        if target.exists() and target.is_dir() != beside.is_dir():
            there, wanted = ("folder", "file") if target.is_dir() else ("file", "folder")
            raise UserError(f"{target}: a {there} is in the place of a {wanted}; move it away")
        if target.is_dir():
            # A folder cannot be renamed over a full one: the old one steps aside first.
            target.rename(old)
            beside.rename(target)
            remove(old)
        else:
            beside.replace(target)
        _flush(target.parent, deep=False)
    finally:
        remove(beside)


@contextmanager
def held(lock: Path, busy: str) -> Iterator[None]:
    """Keep other processes out of what a file stands for; the lock ends with the process, however that ends.

    Raises:
        UserError: saying what is `busy`, when another process is at it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{busy}; wait for it, or end it") from None
        yield


def _flush(path: Path, *, deep: bool = True) -> None:
    """Bring a file, or a folder with all in it, to the disk: a name must not get there before its content."""
    for inner in path.rglob("*") if deep and path.is_dir() else ():
        _flush(inner, deep=False)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file, which nobody will change, a second name: it takes no space where the file system has such."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def copied(source: Path, target: Path) -> None:
    """Give a file or a folder, which nobody will change, a second place, atomically."""
    with written_beside(target) as beside:
        if source.is_dir():
            shutil.copytree(source, beside, symlinks=True, copy_function=link_or_copy)  # a link stays one
        else:
            link_or_copy(source, beside)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, indented, keys in the order given, ending in a newline."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: when the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except RecursionError:
        raise UserError(f"{path}: not valid JSON (nested too deeply)") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None


def read_record(path: Path, keys: Iterable[str], remedy: str) -> dict[str, Any]:
    """The content of a JSON file that a stage wrote, with all the keys that it always has.

    Raises:
        UserError: when the file is missing, is not JSON, or lacks a key; `remedy` says what to do.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; {remedy}")
    content = read_json(path)
    missing = sorted(set(keys) - set(content if isinstance(content, dict) else ()))
    if missing:
        raise UserError(f"{path}: {', '.join(missing)} missing; {remedy}")
    record: dict[str, Any] = content
    return record


def digest(path: Path, pattern: str = "*") -> str:
    """The SHA-256 of a file's bytes, or of a folder's relative paths and files' digests in sorted order.

    It does not depend on the folder's own name, on times, or on the order in which a file system lists files.

    Args:
        path: the file or folder.
        pattern: which of a folder's files count, at any depth.
    """
    hasher = hashlib.sha256()
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in path.rglob(pattern) if file.is_file()}
        for name in sorted(files):
            hasher.update(f"{name}\0{digest(files[name])}\n".encode())
    else:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
    return hasher.hexdigest()
