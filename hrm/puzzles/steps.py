"""What a symmetry does, as data: steps that a page can carry out and tell without knowing the kind of puzzle.

A kind lists the steps that its symmetries consist of, in the order in which they are done. Each reads some of the K
bytes of a symmetry; the grid before a step is x and after it is y:

| step | bytes | what it does |
| --- | --- | --- |
| turn | one, an index into `codes` | the dihedral transform of that code, within the grid's own extent |
| rows | the old row of each new one | `y[i, j] = x[bytes[i], j]` |
| columns | the old column of each new one | `y[i, j] = x[i, bytes[j]]` |
| values | the new value of each old one | `y[i, j] = bytes[x[i, j]]` |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles import dihedral

UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Step:
    """One step of every symmetry of a kind."""

    does: Literal["turn", "rows", "columns", "values"]
    """Which of the steps above."""
    at: int
    """The first of its bytes."""
    size: int = 1
    """How many bytes."""
    codes: tuple[int, ...] = tuple(range(dihedral.COUNT))
    """The transforms to choose from, of a turn."""


def words(steps: Sequence[Step], symmetry: NDArray[np.uint8], names: Sequence[str]) -> str:
    """What a symmetry does, for people.

    Args:
        steps: the steps of its kind.
        symmetry: (K,) its bytes.
        names: what people call each cell value.
    """
    parts = (_words(step, symmetry[step.at : step.at + step.size].tolist(), names) for step in steps)
    return "; ".join(part for part in parts if part) or UNCHANGED


def _words(step: Step, part: list[int], names: Sequence[str]) -> str:
    """What one step does; nothing when it changes nothing."""
    if step.does == "turn":
        return dihedral.NAMES[step.codes[part[0]]]
    moved = [(old, new) for old, new in enumerate(part) if old != new]
    if step.does == "values":
        return ", ".join(f"{names[old]} → {names[new]}" for old, new in moved)
    return f"{step.does} in the order {' '.join(str(line + 1) for line in part)}" if moved else ""
