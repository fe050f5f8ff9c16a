"""An answer compared with another grid, cell by cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes

Mask = NDArray[np.bool_]


def different(grid: Bytes, other: Bytes) -> Mask:
    """(H, W) which cells of a grid another one has not, or has with another value."""
    height, width = np.minimum(grid.shape, other.shape)
    differs = np.ones(grid.shape, np.bool_)
    differs[:height, :width] = grid[:height, :width] != other[:height, :width]
    return differs


def distance(grid: Bytes, other: Bytes) -> int:
    """How many cells differ; one that either grid lacks counts."""
    height, width = np.minimum(grid.shape, other.shape)
    return int(different(grid, other).sum()) + other.size - int(height * width)
