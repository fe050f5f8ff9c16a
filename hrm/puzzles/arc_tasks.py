"""ARC task files: JSON with `train` and `test`, each a list of pairs of grids `input` and `output`.

The canonical form of a raw source is one such file a task, `<source>/<subset>/<task>.json`, written without spaces.
"""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrm.artifacts import read_json
from hrm.errors import UserError
from hrm.puzzles.base import Bytes

TRAINING, EVALUATION = SUBSETS = ("training", "evaluation")
"""The folders of a source, in the order in which their tasks are numbered."""

COLOURS = 10
MAX_SIZE = 30
"""Largest height and width of an ARC grid."""

Pair = tuple[Bytes, Bytes]
"""Input and output."""


@dataclass(frozen=True)
class Task:
    """One ARC task: demonstrations, and the pairs whose outputs are asked for."""

    train: list[Pair]
    test: list[Pair]

    @property
    def size(self) -> int:
        """The largest height or width of any of its grids."""
        return max(int(side) for pair in self.train + self.test for grid in pair for side in grid.shape)


TaskFile = tuple[str, str, Path, Task]
"""Subset, name, file, and the task that is in it."""

UNKNOWN = np.zeros((0, 0), np.uint8)
"""Stands for an output that is asked for and not known."""


def to_grid(rows: Any) -> Bytes:
    """Nested lists of colours as a grid (height, width).

    Raises:
        ValueError: saying which row or cell is wrong.
    """
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise ValueError("expected a non-empty list of rows")
    width = len(rows[0])
    for number, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"row {number} has {len(row)} cells, row 0 has {width}")
        for column, colour in enumerate(row):
            # The type is compared because JSON's true would pass for 1, and 1.0 too.
            if type(colour) is not int or not 0 <= colour < COLOURS:
                shown = reprlib.repr(colour)
                raise ValueError(f"row {number}, column {column}: colour {shown} is not a whole number from 0 to 9")
    if not 1 <= width <= MAX_SIZE or len(rows) > MAX_SIZE:
        raise ValueError(f"{len(rows)} rows of {width} cells; expected 1 to {MAX_SIZE} of each")
    return np.array(rows, dtype=np.uint8)


def to_task(content: Any, where: str, *, unanswered: bool = False) -> Task:
    """The content of a task file, checked.

    Args:
        content: what the JSON holds.
        where: how messages name the file.
        unanswered: whether the outputs of test pairs may be left out; they are `UNKNOWN` then.

    Raises:
        UserError: naming the place of the first thing that is wrong.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected an object with the keys train and test")
    return Task(_pairs(content, "train", where), _pairs(content, "test", where, unanswered=unanswered))


def _pairs(content: dict[str, Any], key: str, where: str, *, unanswered: bool = False) -> list[Pair]:
    if key not in content:
        raise UserError(f"{where}: key {key} is missing; a task has train and test")
    pairs = content[key]
    if not isinstance(pairs, list) or not pairs:
        raise UserError(f"{where}: {key}: expected a list of at least one pair")
    checked = []
    for number, pair in enumerate(pairs):
        place = f"{where}: {key}[{number}]"
        asked = unanswered and isinstance(pair, dict) and pair.get("output") is None
        checked.append((_side(pair, "input", place), UNKNOWN if asked else _side(pair, "output", place)))
    return checked


def _side(pair: Any, side: str, where: str) -> Bytes:
    if not isinstance(pair, dict) or side not in pair:
        raise UserError(f"{where}: key {side} is missing; a pair has input and output")
    try:
        return to_grid(pair[side])
    except ValueError as error:
        raise UserError(f"{where}.{side}: {error}") from None


def read_task(path: Path) -> Task:
    """A task file.

    Raises:
        UserError: naming the file and the place in it of the first thing that is wrong.
    """
    return to_task(read_json(path), str(path))


def write_task(task: Task, folder: Path, subset: str, name: str) -> None:
    """Write a task into a source's folder in canonical form: the same task always gives the same bytes."""
    content = {
        key: [{"input": question.tolist(), "output": answer.tolist()} for question, answer in pairs]
        for key, pairs in (("train", task.train), ("test", task.test))
    }
    (folder / subset).mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, separators=(",", ":")) + "\n"
    (folder / subset / f"{name}.json").write_text(text, encoding="utf-8")


def read_source(source: Path) -> list[TaskFile]:
    """Every task of a raw source as (subset, name, file, task), by subset and then by name.

    Raises:
        UserError: when the folder is missing or holds no tasks, or a file in it is damaged.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; run `hrm fetch` first")
    tasks: list[TaskFile] = []
    for subset in SUBSETS:
        # Sorted by name, never as the file system lists them: numbers of groups must agree between machines.
        files = sorted((source / subset).glob("*.json"), key=lambda file: file.stem)
        for file in files:
            if not file.stem.isprintable():  # nor is what a file system gives for bytes that are not UTF-8
                raise UserError(f"{str(file)!r}: the name is not printable UTF-8; rename the file")
            tasks.append((subset, file.stem, file, read_task(file)))
    if not tasks:
        raise UserError(f"{source}: no task files in {TRAINING}/ or {EVALUATION}/; run `hrm fetch` again")
    return tasks
