"""The dataset on disk: each source example once, and for each variant the symmetry that makes it.

A folder holds

    dataset.json                 format, puzzle settings, counts, content digest
    names.npy                    (G,) group names
    starts.npy  symmetries.npy   group g's variants are rows starts[g]:starts[g+1] of (V, K); the first is the original
    train/  test/                questions.npy answers.npy (N, H, W), *_shapes.npy (N, 2), groups.npy ratings.npy (N,)

The puzzle id of variant v is v + 1 for kinds with puzzle ids (0 stays blank), else 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_json, write_json, written_beside
from hrm.errors import UserError
from hrm.puzzles import puzzle_from
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind, Table

FORMAT = "hrm-dataset/1"
HEADER = {"puzzle", "groups", "variants", "train_examples", "test_examples", "notes", "digest"}
"""What `dataset.json` holds besides the format."""


@dataclass(frozen=True)
class Dataset:
    """An opened dataset; its arrays are memory-mapped."""

    path: Path
    puzzle: PuzzleKind
    names: Sequence[str]
    """(G,) group names."""
    symmetries: Bytes
    """(V, K) of all groups' variants, consecutive by group, the identity first."""
    starts: Ints
    """(G + 1,) where each group's variants start."""
    train: Examples
    test: Examples
    digest: str
    """SHA-256 of the content: puzzle settings and every array."""
    notes: dict[str, int]
    """What the reader counted, such as tasks left out."""

    @property
    def seq_len(self) -> int:
        """Tokens of a sequence."""
        height, width = self.puzzle.canvas
        return height * width

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""
        return self.puzzle.vocab_size

    @property
    def num_puzzle_ids(self) -> int:
        """Rows of the puzzle embedding, the blank one included."""
        return 1 + len(self.symmetries) if self.puzzle.has_puzzle_ids else 1

    @cached_property
    def train_groups(self) -> Ints:
        """The groups that have training examples."""
        return np.unique(self.train.groups)

    @cached_property
    def mean_puzzle_examples(self) -> float:
        """Mean number of training examples of a puzzle, over all variants of all training groups."""
        variants = np.diff(self.starts)[self.train_groups]
        examples = np.bincount(self.train.groups)[self.train_groups]
        return float((variants * examples).sum() / variants.sum())


def write_dataset(path: Path, puzzle: PuzzleKind, table: Table, symmetries: Bytes, starts: Ints) -> None:
    """Write a dataset folder, atomically."""
    arrays = {
        "names": np.array([name.encode() for name in table.names], dtype="S"),
        "starts": starts,
        "symmetries": symmetries,
        **{f"train/{name}": array for name, array in _columns(table.train)},
        **{f"test/{name}": array for name, array in _columns(table.test)},
    }
    header = {
        "format": FORMAT,
        "puzzle": puzzle.model_dump(mode="json"),
        "groups": len(table.names),
        "variants": len(symmetries),
        "train_examples": len(table.train),
        "test_examples": len(table.test),
        "notes": table.notes,
        "digest": _digest(puzzle, arrays),
    }
    with written_beside(path) as folder:
        for name, array in arrays.items():
            file = folder / f"{name}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, array, allow_pickle=False)
        write_json(folder / "dataset.json", header)


def open_dataset(path: Path) -> Dataset:
    """Open a dataset folder.

    Raises:
        UserError: when it is missing, of another format version, or incomplete.
    """
    if not (path / "dataset.json").is_file():
        raise UserError(f"{path}: no dataset here; make it with `hrm build`")
    header = read_json(path / "dataset.json")
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}/dataset.json: format {found!r} is not {FORMAT!r}; build it again with `hrm build`")
    if missing := sorted(HEADER - header.keys()):
        raise UserError(f"{path}/dataset.json: {', '.join(missing)} missing; build it again with `hrm build`")
    puzzle = puzzle_from(header["puzzle"], f"{path}/dataset.json: puzzle")
    names: NDArray[np.bytes_] = _load(path / "names.npy")
    dataset = Dataset(
        path=path,
        puzzle=puzzle,
        names=_Names(names),
        symmetries=_load(path / "symmetries.npy"),
        starts=_load(path / "starts.npy"),
        train=_examples(path / "train"),
        test=_examples(path / "test"),
        digest=header["digest"],
        notes=header["notes"],
    )
    counts = [len(names), len(dataset.symmetries), len(dataset.train), len(dataset.test)]
    if counts != [header[key] for key in ("groups", "variants", "train_examples", "test_examples")]:
        raise UserError(f"{path}: arrays do not have the lengths in dataset.json; build it again with `hrm build`")
    return dataset


class _Names(Sequence[str]):
    """Group names, decoded when asked for: a full Sudoku table has millions."""

    def __init__(self, names: NDArray[np.bytes_]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [name.decode() for name in self._names[index]]
        return self._names[index].decode()


def _columns(examples: Examples) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "questions", examples.questions.cells
    yield "question_shapes", examples.questions.shapes
    yield "answers", examples.answers.cells
    yield "answer_shapes", examples.answers.shapes
    yield "groups", examples.groups
    yield "ratings", examples.ratings


def _examples(folder: Path) -> Examples:
    questions = Grids(_load(folder / "questions.npy"), _load(folder / "question_shapes.npy"))
    answers = Grids(_load(folder / "answers.npy"), _load(folder / "answer_shapes.npy"))
    examples = Examples(questions, answers, _load(folder / "groups.npy"), _load(folder / "ratings.npy"))
    lengths = {len(array) for _, array in _columns(examples)}
    if len(lengths) > 1:
        raise UserError(f"{folder}: arrays of different lengths; build the dataset again with `hrm build`")
    return examples


def _load(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{file}: missing; build the dataset again with `hrm build`") from None
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{file}: damaged ({error}); build the dataset again with `hrm build`") from None


def _digest(puzzle: PuzzleKind, arrays: dict[str, NDArray[Any]]) -> str:
    hasher = hashlib.sha256(puzzle.model_dump_json().encode())
    for name, array in arrays.items():
        hasher.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()
