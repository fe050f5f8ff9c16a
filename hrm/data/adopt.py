"""A dataset of a folder in the published layout, made by anyone.

Training examples stay as they are, tokens of every variant. The test split becomes what every dataset has: each example
once, and the symmetries that make its variants, which their names tell; every stored variant is checked against them.
A name that tells nothing makes its puzzle a task of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrm.artifacts import read_json
from hrm.data.dataset import write_dataset
from hrm.data.published import BLANK, SET
from hrm.data.published_split import REMEDY, read_split
from hrm.data.stored import StoredExamples, ranges
from hrm.data.variants import as_variants
from hrm.errors import UserError
from hrm.puzzles.base import Bytes, Examples, Ints, PuzzleKind, Table

_PUZZLES = 1 << 10  # checked at a time


def adopt(puzzle: PuzzleKind, folder: Path, out: Path) -> None:
    """Write the dataset of a folder in the published layout.

    Args:
        puzzle: the kind of puzzle, with its size, which the layout does not name.
        folder: holds `identifiers.json`, `train/` and `test/`.
        out: the dataset folder.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    identifiers = _identifiers(folder / "identifiers.json")
    train, test = (read_split(folder / split, puzzle, len(identifiers)) for split in ("train", "test"))
    if puzzle.has_puzzle_ids:
        names, symmetries, starts = _tasks(puzzle, identifiers)
        variants_P = test.puzzle_ids.astype(np.int64) - 1
    else:
        names, symmetries, starts = _unnamed(puzzle, train, test)
        # Without names every puzzle counts as an original: as the first variant of its group.
        tested = np.repeat(np.arange(len(test.group_starts) - 1), np.diff(test.group_starts))
        variants_P = starts[len(train.group_starts) - 1 + tested]
    tests = _Tests(folder / "test", puzzle, test, variants_P, starts)
    examples = tests.originals()
    tests.check_variants(examples, symmetries)
    nothing = np.zeros(0, np.int64)
    write_dataset(out, puzzle, Table(names, examples.take(nothing), examples, {}), symmetries, starts, stored=train)


def _identifiers(file: Path) -> list[str]:
    names = read_json(file)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or names[:1] != [BLANK]:
        raise UserError(f"{file}: expected a list of names that begins with {BLANK!r}; {REMEDY}")
    if len(set(names)) < len(names):
        raise UserError(f"{file}: a name stands there twice; {REMEDY}")
    return names


def _tasks(puzzle: PuzzleKind, identifiers: list[str]) -> tuple[list[str], Bytes, Ints]:
    """Names of tasks, the symmetry of each puzzle id after the blank one, and where each task's ids start."""
    names: list[str] = []
    starts: list[int] = []
    symmetries_VK = np.tile(puzzle.identity, (len(identifiers) - 1, 1))
    for variant, identifier in enumerate(identifiers[1:]):
        task, symmetry = puzzle.read_variant_name(identifier)
        if names and task == names[-1] and identifier != task:
            symmetries_VK[variant] = symmetry
        else:
            names.append(identifier)
            starts.append(variant)
    return names, symmetries_VK, np.array([*starts, len(symmetries_VK)], np.int64)


def _unnamed(puzzle: PuzzleKind, train: StoredExamples, test: StoredExamples) -> tuple[list[str], Bytes, Ints]:
    """The groups of both splits by number; what made their variants is not known."""
    trained, tested = len(train.group_starts) - 1, len(test.group_starts) - 1
    names = [f"train-{group}" for group in range(trained)] + [f"test-{group}" for group in range(tested)]
    starts = np.concatenate([train.group_starts, train.group_starts[-1] + 1 + np.arange(tested)]).astype(np.int64)
    return names, np.tile(puzzle.identity, (int(starts[-1]), 1)), starts


class _Tests:
    """The test split, whose puzzles are variants of the dataset's groups."""

    def __init__(
        self, folder: Path, puzzle: PuzzleKind, stored: StoredExamples, variants_P: Ints, starts: Ints
    ) -> None:
        self.folder, self.puzzle, self.stored, self.variants_P = folder, puzzle, stored, variants_P
        self.groups_P = np.searchsorted(starts, variants_P, side="right") - 1
        self.is_original_P = variants_P == starts[self.groups_P]
        self.sizes_P = np.diff(stored.puzzle_starts).astype(np.int64)

    def originals(self) -> Examples:
        """The examples of the untransformed puzzles as grids, by group.

        Raises:
            UserError: when tokens are not those of a grid at the top left.
        """
        puzzles = np.flatnonzero(self.is_original_P)
        puzzles = puzzles[np.argsort(self.groups_P[puzzles], kind="stable")]
        rows = ranges(self.stored.puzzle_starts[puzzles], self.sizes_P[puzzles])
        sides = []
        for field, tokens in (("inputs", self.stored.inputs[rows]), ("labels", self.stored.labels[rows])):
            grids = self.puzzle.decode(tokens)
            if len(wrong := np.flatnonzero((self.puzzle.encode(grids) != tokens).any(axis=1))):
                raise UserError(
                    f"{self.folder}/{SET}__{field}.npy: row {rows[wrong[0]]} is not {self.puzzle.kind} at the top left "
                    f"of its canvas; {REMEDY}"
                )
            sides.append(grids)
        groups = np.repeat(self.groups_P[puzzles], self.sizes_P[puzzles])
        return Examples(sides[0], sides[1], groups, np.zeros_like(groups))

    def check_variants(self, examples: Examples, symmetries: Bytes) -> None:
        """Compare the other puzzles with the originals under the symmetries that their names tell.

        Raises:
            UserError: naming the first that differs.
        """
        others = np.flatnonzero(~self.is_original_P)
        for start in range(0, len(others), _PUZZLES):
            part = others[start : start + _PUZZLES]
            firsts = np.searchsorted(examples.groups, self.groups_P[part])
            sizes = np.searchsorted(examples.groups, self.groups_P[part], side="right") - firsts
            if len(wrong := part[sizes != self.sizes_P[part]]):
                raise UserError(f"{self.folder}: puzzle {wrong[0]} has not as many examples as its original; {REMEDY}")
            symmetries_BK = symmetries[np.repeat(self.variants_P[part], sizes)]
            questions, answers = as_variants(self.puzzle, examples, ranges(firsts, sizes), symmetries_BK)
            rows = ranges(self.stored.puzzle_starts[part], sizes)
            differs = self.puzzle.encode(questions) != self.stored.inputs[rows]
            differs |= self.puzzle.encode(answers) != self.stored.labels[rows]
            if len(wrong := np.flatnonzero(differs.any(axis=1))):
                puzzle = np.repeat(part, sizes)[wrong[0]]
                raise UserError(
                    f"{self.folder}: puzzle {puzzle} is not the variant that its identifier names; {REMEDY}"
                )
