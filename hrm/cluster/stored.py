"""A folder in a bucket, which is there in whole or not at all.

<uri>/files/...      its files
      whole.json     written last: the SHA-256 of each
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from hrm.artifacts import digest, read_json, write_json, written_beside
from hrm.errors import UserError
from hrm.training.bucket import Bucket

WHOLE = "whole.json"


def is_stored(uri: str) -> bool:
    """Whether a folder is there in whole.

    Raises:
        UserError: when the bucket cannot be read.
    """
    with closing(Bucket(uri)) as bucket, bucket.required():
        return WHOLE in bucket.names()


def store(folder: Path, uri: str) -> None:
    """Upload a folder's files, without those whose names begin with a dot.

    Raises:
        UserError: when the bucket does not take them.
    """
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    files = {name: file for name, file in files.items() if not any(part.startswith(".") for part in Path(name).parts)}
    with closing(Bucket(uri)) as bucket, bucket.required(), tempfile.TemporaryDirectory() as scratch:
        for name, file in files.items():
            bucket.upload(file, f"files/{name}")
        whole = Path(scratch) / WHOLE
        write_json(whole, {name: digest(file) for name, file in files.items()})
        bucket.upload(whole, WHOLE)


def retrieve(uri: str, folder: Path) -> None:
    """Download a folder; what was in its place goes when all of it is there.

    Raises:
        UserError: when the bucket cannot be read, the folder is not there in whole, or a file is not what was stored.
    """
    with closing(Bucket(uri)) as bucket, bucket.required(), written_beside(folder) as beside:
        beside.mkdir()
        if WHOLE not in bucket.names():
            raise UserError(f"{uri}: not stored in whole; start the training again")
        with tempfile.TemporaryDirectory() as scratch:
            bucket.download(WHOLE, Path(scratch) / WHOLE)
            digests: dict[str, str] = read_json(Path(scratch) / WHOLE)
        for name, expected in digests.items():
            file = beside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            bucket.download(f"files/{name}", file)
            if digest(file) != expected:
                raise UserError(f"{uri}/files/{name}: damaged; remove {uri} and start the training again")
