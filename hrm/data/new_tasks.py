"""Tasks that no model was trained with, from files as the ARC Prize gives them, as a dataset.

A file holds one task and is named after it, or many by name (`arc-agi_test_challenges.json`). Where the output of a
test pair is not given, the dataset holds an empty grid in its place: it is asked for, and never scored.

Shapes: N examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_json
from hrm.data.dataset import Dataset, open_dataset, write_dataset
from hrm.data.stored import StoredExamples
from hrm.errors import UserError
from hrm.puzzles.arc import Arc
from hrm.puzzles.arc_tasks import EVALUATION, Task, TaskFile, to_task
from hrm.puzzles.base import Examples, Grids


@dataclass(frozen=True)
class NewTasks:
    """Checked tasks, by name."""

    fitting: dict[str, TaskFile]
    """Those whose grids fit the canvas."""
    too_large: dict[str, Task]
    """Those that are left out."""


def read_new_tasks(puzzle: Arc, paths: Sequence[Path]) -> NewTasks:
    """The tasks in some files, and in all files of some folders.

    Args:
        puzzle: whose canvas they must fit.
        paths: files, and folders at whatever depth.

    Raises:
        UserError: naming file and place of the first thing that is wrong, such as a colour that there is not; when two
            tasks have the same name; or when none fits.
    """
    found: dict[str, TaskFile] = {}
    for file in _files(paths):
        for name, task in _tasks(file):
            if name in found:
                raise UserError(f"{file}: {found[name][2]} has a task of the same name, {name}; give one of the two")
            found[name] = EVALUATION, name, file, task
    fitting = {name: entry for name, entry in found.items() if entry[3].size <= puzzle.canvas_size}
    if not fitting:
        raise UserError(
            f"{', '.join(map(str, paths))}: no task fits the model's canvas of {puzzle.canvas_size} x "
            f"{puzzle.canvas_size} cells; adapt a model that was trained on a larger one"
        )
    return NewTasks(fitting, {name: entry[3] for name, entry in found.items() if name not in fitting})


def build_new_tasks(puzzle: Arc, tasks: NewTasks, out: Path, *, variants: int, seed: int) -> Dataset:
    """Write the dataset whose training split are the demonstrations, and whose test split is what is asked.

    The variants do not depend on the outputs that are asked for, even where they are given.

    Args:
        puzzle: the kind of puzzle of the model.
        tasks: what `read_new_tasks` gives.
        out: the dataset folder.
        variants: of each task, besides the original.
        seed: of the variants.
    """
    table = puzzle.table(tasks.fitting.values())
    answers = table.test.answers
    hidden = Grids(np.zeros_like(answers.cells), np.zeros_like(answers.shapes))
    blind = replace(table, test=replace(table.test, answers=hidden))
    symmetries, starts = puzzle.variants(blind, variants, seed)
    write_dataset(out, puzzle, table, symmetries, starts)
    return open_dataset(out)


def known_answers(dataset: Dataset) -> NDArray[np.bool_]:
    """(N,) the test examples of tasks all of whose outputs are known: those that can be scored."""
    unknown_N = np.asarray(dataset.test.answers.shapes).min(axis=1) == 0
    known: NDArray[np.bool_] = ~np.isin(dataset.test.groups, dataset.test.groups[unknown_N])
    return known


def trained_already(new: Dataset, trained: Dataset) -> dict[str, str]:
    """New tasks all of whose demonstrations a model was trained on, each with the name it had there.

    None for a dataset that keeps its training examples as tokens alone.
    """
    if isinstance(trained.train, StoredExamples) or isinstance(new.train, StoredExamples):
        return {}
    owner = dict(_pairs(trained.train))
    owners: dict[int, list[int]] = {}
    for pair, group in _pairs(new.train):
        owners.setdefault(group, []).append(owner.get(pair, -1))
    return {new.names[group]: trained.names[found[0]] for group, found in owners.items() if min(found) >= 0}


def _pairs(examples: Examples) -> Iterator[tuple[bytes, int]]:
    sides = (examples.questions, examples.answers)
    for row, group in enumerate(examples.groups.tolist()):
        yield b"".join(part[row].tobytes() for side in sides for part in (side.cells, side.shapes)), group


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        files = sorted(path.rglob("*.json"))
        if not files:
            raise UserError(f"{path}: no task files (*.json) in this folder")
        yield from files


def _tasks(file: Path) -> Iterator[tuple[str, Task]]:
    content = read_json(file)
    if not _holds_many(content):
        content = {file.stem: content}
        where = {file.stem: str(file)}
    else:
        where = {name: f"{file}: {name}" for name in content}
    for name, one in content.items():
        if not name.isprintable():
            raise UserError(f"{str(file)!r}: a task's name is not printable UTF-8; rename it")
        yield name, to_task(one, where[name], unanswered=True)


def _holds_many(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and not {"train", "test"} & content.keys()
        and bool(content)
        and all(isinstance(one, dict) for one in content.values())
    )
