"""The dataset on disk: each source example once, and for each variant the symmetry that makes it.

A folder holds

    dataset.json                 format, puzzle settings, counts, content digest
    names.npy                    (G,) group names
    starts.npy  symmetries.npy   group g's variants are rows starts[g]:starts[g+1] of (V, K); the first is the original
    train/  test/                questions.npy answers.npy (N, H, W), *_shapes.npy (N, 2), groups.npy ratings.npy (N,)
    test/                        where there are several sets, set_names.npy, and sets.npy (N,): the set of each example

A dataset made of a folder in the published layout has other files in `train/`, see `hrm.data.stored`: tokens of every
variant, and puzzle ids of their own.

The puzzle id of variant v is v + 1 for kinds with puzzle ids (0 stays blank), else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from hrm.artifacts import read_json, write_json, written_beside
from hrm.data.dataset_arrays import arrays_of, digest_of, load, open_examples, open_sets, open_train
from hrm.data.stored import StoredExamples, distinct
from hrm.errors import UserError
from hrm.puzzles import puzzle_from
from hrm.puzzles.base import Bytes, Examples, Ints, PuzzleKind, Sets, Table
from hrm.settings import NonNegativeInt, Settings, validate

FORMAT = "hrm-dataset/1"
MOST_SETS = 24
"""Where labels of test examples differ more, they name puzzles, not sets."""


class _Header(Settings):
    """What `dataset.json` holds."""

    format: str
    puzzle: dict[str, Any]
    groups: PositiveInt
    variants: PositiveInt
    train_examples: PositiveInt
    test_examples: PositiveInt
    notes: dict[str, NonNegativeInt]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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
    train: Examples | StoredExamples
    test: Examples
    digest: str
    """SHA-256 of the content: puzzle settings and every array."""
    notes: dict[str, int]
    """What the reader counted, such as tasks left out."""
    test_sets: Sets | None = None
    """The sets of the test examples, where there are several."""

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
        return distinct(np.asarray(self.train.groups))

    @property
    def originals(self) -> Examples:
        """The training examples, each once, as grids.

        Raises:
            UserError: when they are kept as tokens of every variant.
        """
        if isinstance(self.train, StoredExamples):
            raise UserError(f"{self.path}: its training examples are those of a published folder, as tokens; use that")
        return self.train

    @cached_property
    def mean_puzzle_examples(self) -> float:
        """Mean number of training examples of a puzzle, over all variants of all training groups."""
        if isinstance(self.train, StoredExamples):
            return len(self.train) / len(self.train.puzzle_ids)
        variants = np.diff(self.starts)[self.train_groups]
        examples = np.bincount(self.train.groups)[self.train_groups]
        return float((variants * examples).sum() / variants.sum())


def write_dataset(
    path: Path,
    puzzle: PuzzleKind,
    table: Table,
    symmetries: Bytes,
    starts: Ints,
    *,
    stored: StoredExamples | None = None,
) -> None:
    """Write a dataset folder, atomically.

    Args:
        path: the folder.
        puzzle: the kind of puzzle.
        table: groups and examples.
        symmetries: (V, K) of all groups' variants.
        starts: (G + 1,) where each group's variants start.
        stored: training examples as tokens, in the place of those of `table`.
    """
    train = table.train if stored is None else stored
    names = np.array([name.encode() for name in table.names], dtype="S")
    sets = table.test_sets
    if sets is not None and not 2 <= len(np.unique(sets.members)) <= MOST_SETS:
        sets = None
    arrays = arrays_of(names, starts, symmetries, train, table.test, sets)
    header = {
        "format": FORMAT,
        "puzzle": puzzle.model_dump(mode="json"),
        "groups": len(table.names),
        "variants": len(symmetries),
        "train_examples": len(train),
        "test_examples": len(table.test),
        "notes": table.notes,
        "digest": digest_of(puzzle, arrays),
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
        UserError: when it is missing, of another format version, or incomplete, or an array has another type or shape.
    """
    if not (path / "dataset.json").is_file():
        raise UserError(f"{path}: no dataset here; make it with `hrm build`")
    content = read_json(path / "dataset.json")
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}/dataset.json: format {found!r} is not {FORMAT!r}; build it again with `hrm build`")
    header = validate(_Header, content, f"{path}/dataset.json")
    puzzle = puzzle_from(header.puzzle, f"{path}/dataset.json: puzzle")
    return Dataset(
        path=path,
        puzzle=puzzle,
        names=_Names(load_names(path, header.groups)),
        symmetries=load(path / "symmetries.npy", np.uint8, (header.variants, len(puzzle.identity))),
        starts=load(path / "starts.npy", np.int64, (header.groups + 1,)),
        train=open_train(path / "train", header.train_examples, puzzle.canvas),
        test=open_examples(path / "test", header.test_examples, puzzle.canvas),
        digest=header.digest,
        notes=header.notes,
        test_sets=open_sets(path / "test", header.test_examples),
    )


def load_names(path: Path, count: int) -> NDArray[np.bytes_]:
    """(G,) the group names of a dataset folder, as UTF-8."""
    names: NDArray[np.bytes_] = load(path / "names.npy", np.bytes_, (count,))
    return names


def content_digest(dataset: Dataset) -> str:
    """The digest of what an opened dataset holds, which is `dataset.digest` unless a file was changed."""
    names = load_names(dataset.path, len(dataset.names))
    arrays = arrays_of(names, dataset.starts, dataset.symmetries, dataset.train, dataset.test, dataset.test_sets)
    return digest_of(dataset.puzzle, arrays)


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
