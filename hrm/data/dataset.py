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

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from hrm.artifacts import read_json, write_json, written_beside
from hrm.data.arrays import open_array
from hrm.data.stored import StoredExamples, distinct
from hrm.errors import UserError
from hrm.puzzles import puzzle_from
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind, Sets, Table
from hrm.settings import NonNegativeInt, Settings, validate

FORMAT = "hrm-dataset/1"
MOST_SETS = 24
"""Where labels of test examples differ more, they name puzzles, not sets."""
REMEDY = "build the dataset again with `hrm build`"


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
    arrays = _arrays(names, starts, symmetries, train, table.test, sets)
    header = {
        "format": FORMAT,
        "puzzle": puzzle.model_dump(mode="json"),
        "groups": len(table.names),
        "variants": len(symmetries),
        "train_examples": len(train),
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
        symmetries=_load(path / "symmetries.npy", np.uint8, (header.variants, len(puzzle.identity))),
        starts=_load(path / "starts.npy", np.int64, (header.groups + 1,)),
        train=_train_split(path / "train", header.train_examples, puzzle.canvas),
        test=_examples(path / "test", header.test_examples, puzzle.canvas),
        digest=header.digest,
        notes=header.notes,
        test_sets=_sets(path / "test", header.test_examples),
    )


def load_names(path: Path, count: int) -> NDArray[np.bytes_]:
    """(G,) the group names of a dataset folder, as UTF-8."""
    names: NDArray[np.bytes_] = _load(path / "names.npy", np.bytes_, (count,))
    return names


def content_digest(dataset: Dataset) -> str:
    """The digest of what an opened dataset holds, which is `dataset.digest` unless a file was changed."""
    names = load_names(dataset.path, len(dataset.names))
    arrays = _arrays(names, dataset.starts, dataset.symmetries, dataset.train, dataset.test, dataset.test_sets)
    return _digest(dataset.puzzle, arrays)


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


def _arrays(
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


def _sets(folder: Path, count: int) -> Sets | None:
    if not (folder / "sets.npy").exists():
        return None
    names = [name.decode() for name in _load(folder / "set_names.npy", np.bytes_, (None,))]
    members = _load(folder / "sets.npy", np.int64, (count,))
    if ((members < 0) | (members >= len(names))).any():
        raise UserError(f"{folder}/sets.npy: names no set of set_names.npy; {REMEDY}")
    return Sets(names, members)


def _train_split(folder: Path, count: int, canvas: tuple[int, int]) -> Examples | StoredExamples:
    if not (folder / "puzzle_ids.npy").exists():
        return _examples(folder, count, canvas)
    tokens = (count, canvas[0] * canvas[1])
    inputs, labels = (_load(folder / f"{name}.npy", np.uint8, tokens) for name in ("inputs", "labels"))
    ids = _load(folder / "puzzle_ids.npy", np.int32, (None,))
    puzzle_starts = _load(folder / "puzzle_starts.npy", np.int32, (len(ids) + 1,))
    return StoredExamples(inputs, labels, ids, puzzle_starts, _load(folder / "group_starts.npy", np.int32, (None,)))


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


def _examples(folder: Path, count: int, canvas: tuple[int, int]) -> Examples:
    def grids(side: str) -> Grids:
        cells = _load(folder / f"{side}s.npy", np.uint8, (count, *canvas))
        return Grids(cells, _load(folder / f"{side}_shapes.npy", np.uint8, (count, 2)))

    groups, ratings = (_load(folder / f"{name}.npy", np.int64, (count,)) for name in ("groups", "ratings"))
    return Examples(grids("question"), grids("answer"), groups, ratings)


def _load(file: Path, kind: type[np.generic], shape: tuple[int | None, ...]) -> Any:
    """A memory-mapped array of a type and shape, None being any length; nothing is ever unpickled."""
    try:
        array = open_array(file, REMEDY)
    except FileNotFoundError:
        raise UserError(f"{file}: missing; {REMEDY}") from None
    fits = len(array.shape) == len(shape) and all(b in (a, None) for a, b in zip(array.shape, shape, strict=True))
    if not fits or not np.issubdtype(array.dtype, kind) or not array.dtype.isnative:
        raise UserError(f"{file}: {array.dtype} of shape {array.shape} instead of {kind.__name__} of {shape}; {REMEDY}")
    return array


def _digest(puzzle: PuzzleKind, arrays: dict[str, NDArray[Any]]) -> str:
    hasher = hashlib.sha256(puzzle.model_dump_json().encode())
    for name, array in arrays.items():
        hasher.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()
