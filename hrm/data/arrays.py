"""Arrays in files, opened and never unpickled."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hrm.errors import UserError

UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error)
"""What `read_arrays` raises for a file that is missing or damaged."""


def open_array(file: Path, remedy: str) -> NDArray[Any]:
    """A memory-mapped `.npy`.

    Args:
        file: the file.
        remedy: what to do about a damaged one.

    Raises:
        FileNotFoundError: when there is none.
        UserError: when it is damaged.
    """
    try:
        with warnings.catch_warnings(action="error"):
            # Not `np.load`: it would open an archive, too.
            return np.lib.format.open_memmap(file, mode="r")
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged header is parsed as Python: it can raise nearly anything
        raise UserError(f"{file}: damaged ({' '.join(str(error).split())}); {remedy}") from None


def read_arrays(file: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Some arrays of an `.npz`.

    Raises:
        Exception: one of `UNREADABLE`.
    """
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names}
