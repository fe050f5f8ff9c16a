"""The eight symmetries of a rectangle of cells, numbered as in the published variant names (`<task>_t<code>_...`).

| code | transform | | code | transform |
| --- | --- | --- | --- | --- |
| 0 | identity | | 4 | flip left-right |
| 1 | quarter turn, counter-clockwise | | 5 | flip up-down |
| 2 | half turn | | 6 | transpose |
| 3 | three quarter turns, counter-clockwise | | 7 | anti-transpose: a quarter turn, then flip left-right |
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

COUNT = 8
"""Number of transforms."""

TRANSPOSE = 6
"""The code that mirrors at the main diagonal."""

INVERSE: Bytes = np.array([0, 3, 2, 1, 4, 5, 6, 7], dtype=np.uint8)
"""INVERSE[code] undoes `code`; every flip undoes itself."""

NAMES = (
    "",
    "turned 90° counter-clockwise",
    "turned 180°",
    "turned 90° clockwise",
    "flipped left-right",
    "flipped up-down",
    "transposed",
    "anti-transposed",
)
"""What each does, for people; nothing for the one that does nothing."""

SWAPS_AXES: NDArray[np.bool_] = np.array([False, True, False, True, False, False, True, True])
"""SWAPS_AXES[code] tells whether height and width change places."""


def family(grid: NDArray[Any]) -> bytes:
    """The same for a square grid and all its turned and mirrored copies, and for no other grid of its size."""
    return min(apply(grid, code).tobytes() for code in range(COUNT))


def apply(grid: NDArray[Any], code: int) -> NDArray[Any]:
    """The transform of an array (..., H, W) over its last two axes, as a view: no cell is copied.

    Raises:
        ValueError: when there is no transform of that number.
    """
    match code:
        case 0:
            return grid
        case 1:
            return grid.swapaxes(-1, -2)[..., ::-1, :]
        case 2:
            return grid[..., ::-1, ::-1]
        case 3:
            return grid.swapaxes(-1, -2)[..., ::-1]
        case 4:
            return grid[..., ::-1]
        case 5:
            return grid[..., ::-1, :]
        case 6:
            return grid.swapaxes(-1, -2)
        case 7:
            return grid[..., ::-1, ::-1].swapaxes(-1, -2)
    raise ValueError(f"transform {code}: expected 0 to {COUNT - 1}")


def apply_square(cells_NHW: Bytes, codes_N: NDArray[np.integer[Any]]) -> Bytes:
    """Each of N square arrays (H = W) under its own transform, as a new array."""
    transformed = np.empty_like(cells_NHW)
    for code in np.unique(codes_N).tolist():
        rows = codes_N == code
        transformed[rows] = apply(cells_NHW[rows], code)
    return transformed
