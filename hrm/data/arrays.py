"""Arrays in files, opened and never unpickled."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.errors import UserError


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
