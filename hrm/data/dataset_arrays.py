"""The array files of a dataset's folder: which there are, how each is opened and checked, and their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.data.arrays import open_array
from hrm.data.stored import StoredExamples
from hrm.errors import UserError
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind, Sets

REMEDY = "build the dataset again with `hrm build`"


def arrays_of(
    names: NDArray[np.bytes_],
    starts: Ints,
    symmetries: Bytes,
    train: Examples | StoredExamples,
    test: Examples,
    sets: Sets | None,
) -> dict[str, NDArray[Any]]:
    """Every array by its file, in the order in which they are digested."""
    of_sets = {}
    if sets is not None:
        encoded = np.array([name.encode() for name in sets.names], dtype="S")
        of_sets = {"test/set_names": encoded, "test/sets": sets.members}
    return {
        "names": names,
        "starts": starts,
        "symmetries": symmetries,
        **{f"train/{name}": array for name, array in _columns(train)},
        **{f"test/{name}": array for name, array in _columns(test)},
        **of_sets,
    }


def open_sets(folder: Path, count: int) -> Sets | None:
    """The sets of the test examples; None where there are not several."""
    if not (folder / "sets.npy").exists():
        return None
    names = [name.decode() for name in load(folder / "set_names.npy", np.bytes_, (None,))]
    members = load(folder / "sets.npy", np.int64, (count,))
    if ((members < 0) | (members >= len(names))).any():
        raise UserError(f"{folder}/sets.npy: names no set of set_names.npy; {REMEDY}")
    return Sets(names, members)


def open_train(folder: Path, count: int, canvas: tuple[int, int]) -> Examples | StoredExamples:
    """The training examples, as grids or as the tokens of a published folder."""
    if not (folder / "puzzle_ids.npy").exists():
        return open_examples(folder, count, canvas)
    tokens = (count, canvas[0] * canvas[1])
    inputs, labels = (load(folder / f"{name}.npy", np.uint8, tokens) for name in ("inputs", "labels"))
    ids = load(folder / "puzzle_ids.npy", np.int32, (None,))
    puzzle_starts = load(folder / "puzzle_starts.npy", np.int32, (len(ids) + 1,))
    return StoredExamples(inputs, labels, ids, puzzle_starts, load(folder / "group_starts.npy", np.int32, (None,)))


def _columns(examples: Examples | StoredExamples) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(examples, StoredExamples):
        yield from examples.columns()
        return
    yield "questions", examples.questions.cells
    yield "question_shapes", examples.questions.shapes
    yield "answers", examples.answers.cells
    yield "answer_shapes", examples.answers.shapes
    yield "groups", examples.groups
    yield "ratings", examples.ratings


def open_examples(folder: Path, count: int, canvas: tuple[int, int]) -> Examples:
    """The examples of a split as grids."""

    def grids(side: str) -> Grids:
        cells = load(folder / f"{side}s.npy", np.uint8, (count, *canvas))
        return Grids(cells, load(folder / f"{side}_shapes.npy", np.uint8, (count, 2)))

    groups, ratings = (load(folder / f"{name}.npy", np.int64, (count,)) for name in ("groups", "ratings"))
    return Examples(grids("question"), grids("answer"), groups, ratings)


def load(file: Path, kind: type[np.generic], shape: tuple[int | None, ...]) -> Any:
    """A memory-mapped array of a type and shape, None being any length; nothing is ever unpickled."""
    try:
        array = open_array(file, REMEDY)
    except FileNotFoundError:
        raise UserError(f"{file}: missing; {REMEDY}") from None
    fits = len(array.shape) == len(shape) and all(b in (a, None) for a, b in zip(array.shape, shape, strict=True))
    if not fits or not np.issubdtype(array.dtype, kind) or not array.dtype.isnative:
        raise UserError(f"{file}: {array.dtype} of shape {array.shape} instead of {kind.__name__} of {shape}; {REMEDY}")
    return array


def digest_of(puzzle: PuzzleKind, arrays: dict[str, NDArray[Any]]) -> str:
    """The SHA-256 of puzzle settings and every array."""
    hasher = hashlib.sha256(puzzle.model_dump_json().encode())
    for name, array in arrays.items():
        hasher.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()
