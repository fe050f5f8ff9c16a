"""Whether a dataset is sound: every name, place, cell, symmetry and answer, and the digest of all of them.

Places are written as NumPy would: `train/answers.npy[5, 2, 0]` is row 2, column 0 of the sixth training answer.

Letters for shapes, besides those of `hrm.puzzles.base`: n rows of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset, content_digest, load_names, open_dataset
from hrm.data.dataset_arrays import REMEDY
from hrm.data.overlap import in_both
from hrm.data.stored import StoredExamples
from hrm.errors import UserError
from hrm.progress import note, progress
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind

BLOCK = 1 << 14
"""Rows looked at together."""


def check_dataset(path: Path) -> Dataset:
    """Check a dataset folder, a block of rows at a time; the digest comes last, as it cannot tell a place.

    Raises:
        UserError: naming file and place of the first thing that is wrong.
    """
    dataset = open_dataset(path)
    _check_names(path / "names.npy", load_names(path, len(dataset.names)))
    _check_starts(path / "starts.npy", dataset.starts, len(dataset.symmetries))
    for name, examples in (("train", dataset.train), ("test", dataset.test)):
        if isinstance(examples, StoredExamples):
            continue  # checked when their folder was read, and not changed since if the digest is right
        _check_columns(path / name, examples, len(dataset.names))
        for rows in _blocks(len(examples), f"check {name}"):
            for side, grids in (("question", examples.questions), ("answer", examples.answers)):
                _check_grids(path / name, side, rows, grids.take(rows), dataset.puzzle)
            if fault := dataset.puzzle.first_fault(examples.questions.take(rows), examples.answers.take(rows)):
                row, message = fault
                raise _fault(path / name / "answers.npy", rows.start + row, message)
    if isinstance(dataset.train, Examples):
        _check_groups(dataset)
        if not dataset.puzzle.has_puzzle_ids:
            _check_splits(dataset)
        _check_symmetries(dataset)
    if (digest := content_digest(dataset)) != dataset.digest:
        raise UserError(
            f"{path}/dataset.json: digest {dataset.digest[:12]} is not that of the arrays, {digest[:12]}: "
            f"one was changed; copy the dataset again, or {REMEDY}"
        )
    note(f"{path}: sound, digest {digest[:12]}")
    return dataset


def _fault(file: Path, row: object, problem: str) -> UserError:
    return UserError(f"{file}[{row}]: {problem}; {REMEDY}")


def _blocks(count: int, desc: str) -> Iterator[slice]:
    starts = range(0, count, BLOCK)
    return progress((slice(start, start + BLOCK) for start in starts), total=len(starts), desc=desc, unit="block")


def _check_names(file: Path, names_G: NDArray[np.bytes_]) -> None:
    """Each is UTF-8 in one line, not empty, and stands for one group."""
    characters_GN = names_G.view(np.uint8).reshape(len(names_G), -1)
    # Plain ones need no look of their own: bytes that are not the padding of a shorter name are printable ASCII.
    plain_GN = (characters_GN == 0) | ((characters_GN >= ord(" ")) & (characters_GN <= ord("~")))
    for row in np.flatnonzero((characters_GN[:, 0] == 0) | ~plain_GN.all(axis=1)).tolist():
        name = names_G[row].decode(errors="replace")
        if not name or not name.isprintable() or name.encode() != names_G[row]:
            raise _fault(file, row, f"{bytes(names_G[row])!r} is no name; one is printable UTF-8")
    order_G = np.argsort(names_G, kind="stable")
    again = np.flatnonzero(names_G[order_G[1:]] == names_G[order_G[:-1]])
    if len(again):
        first, second = order_G[again[0]], order_G[again[0] + 1]
        raise _fault(file, second, f"{names_G[second].decode()} is the name of group {first} too")


def _check_starts(file: Path, starts: Ints, variants: int) -> None:
    if starts[0] != 0:
        raise _fault(file, 0, f"{starts[0]} instead of 0")
    falls = np.flatnonzero(starts[1:] <= starts[:-1])
    if len(falls):
        row = int(falls[0]) + 1
        raise _fault(file, row, f"{starts[row]} after {starts[row - 1]}; each group has a variant, the original")
    if starts[-1] != variants:
        raise _fault(file, len(starts) - 1, f"{starts[-1]} instead of {variants}, the number of variants")


def _check_columns(folder: Path, examples: Examples, groups: int) -> None:
    """Groups ascend and exist; ratings are not negative."""
    outside = (examples.groups < 0) | (examples.groups >= groups)
    if outside.any():
        row = int(outside.argmax())
        raise _fault(folder / "groups.npy", row, f"{examples.groups[row]} is none of the groups 0 to {groups - 1}")
    falls = np.flatnonzero(np.diff(examples.groups) < 0)
    if len(falls):
        row = int(falls[0]) + 1
        raise _fault(folder / "groups.npy", row, f"{examples.groups[row]} after {examples.groups[row - 1]}")
    if (examples.ratings < 0).any():
        row = int((examples.ratings < 0).argmax())
        raise _fault(folder / "ratings.npy", row, f"{examples.ratings[row]} is negative")


def _check_grids(folder: Path, side: str, rows: slice, grids: Grids, puzzle: PuzzleKind) -> None:
    """Each fits the canvas, is blank outside its own extent, and is read back from its tokens."""
    wrong_n = ((grids.shapes < 1) | (grids.shapes > puzzle.canvas)).any(axis=1)
    if wrong_n.any():
        row = int(wrong_n.argmax())
        size, most = (" × ".join(map(str, pair)) for pair in (grids.shapes[row].tolist(), puzzle.canvas))
        raise _fault(folder / f"{side}_shapes.npy", rows.start + row, f"{size} cells; a grid has 1 × 1 to {most}")
    file = folder / f"{side}s.npy"
    inside_nHW = _inside(grids)
    _refuse_cells(file, rows, grids, ~inside_nHW & (grids.cells != 0), "outside the grid's own height and width")
    tokens_nL = puzzle.encode(grids)
    tokens_nHW = tokens_nL.reshape(grids.cells.shape)
    strange_nHW = inside_nHW & ((tokens_nHW == 0) | (tokens_nHW >= puzzle.vocab_size))
    _refuse_cells(file, rows, grids, strange_nHW, f"no cell of {puzzle.kind} has this value")
    back = puzzle.decode(tokens_nL)
    _refuse_cells(file, rows, grids, back.cells != grids.cells, f"no cell of {puzzle.kind} has this value")


def _inside(grids: Grids) -> NDArray[np.bool_]:
    """(n, H, W) whether a cell belongs to its grid."""
    height, width = grids.cells.shape[1:]
    down_nH, across_nW = np.arange(height) < grids.shapes[:, :1], np.arange(width) < grids.shapes[:, 1:]
    inside: NDArray[np.bool_] = down_nH[:, :, None] & across_nW[:, None, :]
    return inside


def _refuse_cells(file: Path, rows: slice, grids: Grids, wrong_nHW: NDArray[np.bool_], problem: str) -> None:
    if wrong_nHW.any():
        row, down, across = np.unravel_index(int(wrong_nHW.argmax()), wrong_nHW.shape)
        place = f"{rows.start + row}, {down}, {across}"
        raise _fault(file, place, f"{grids.cells[row, down, across]}: {problem}")


def _check_groups(dataset: Dataset) -> None:
    """Each has an example, and one to learn its puzzle ids from."""
    trained, tested = dataset.train_groups, np.unique(dataset.test.groups)
    unused = np.setdiff1d(np.arange(len(dataset.names)), np.union1d(trained, tested))
    if len(unused):
        raise _fault(dataset.path / "names.npy", unused[0], f"{dataset.names[unused[0]]} has no example")
    untrained = np.setdiff1d(tested, trained)
    if dataset.puzzle.has_puzzle_ids and len(untrained):
        row = np.searchsorted(dataset.test.groups, untrained[0])
        name = dataset.names[untrained[0]]
        raise _fault(
            dataset.path / "test/groups.npy", row, f"{name} has no training example to learn its puzzle ids from"
        )


def _check_splits(dataset: Dataset) -> None:
    """No test puzzle is a training puzzle."""
    for row, other in in_both(dataset.originals.questions.cells, dataset.test.questions.cells):
        raise _fault(dataset.path / "test/questions.npy", row, f"the same puzzle as train/questions.npy[{other}]")


def _check_symmetries(dataset: Dataset) -> None:
    """A group's first variant is the original; the others are symmetries under which puzzles stay solved."""
    file, puzzle, symmetries = dataset.path / "symmetries.npy", dataset.puzzle, dataset.symmetries
    changed_G = (symmetries[dataset.starts[:-1]] != puzzle.identity).any(axis=1)
    if changed_G.any():
        group = int(changed_G.argmax())
        raise _fault(file, dataset.starts[group], f"the first variant of {dataset.names[group]} is not the original")
    for rows in _blocks(len(symmetries), "check symmetries"):
        strange_n = ~_is_symmetry(puzzle, symmetries[rows])
        if strange_n.any():
            raise _fault(file, rows.start + int(strange_n.argmax()), f"no symmetry of {puzzle.kind}")
        _check_solved(dataset, file, np.arange(rows.start, rows.start + len(strange_n)))
    if puzzle.has_puzzle_ids:
        for group in progress(range(len(dataset.names)), desc="compare variants", unit="group"):
            _check_variants(dataset, file, group)


def _is_symmetry(puzzle: PuzzleKind, symmetries_nK: Bytes) -> NDArray[np.bool_]:
    """(n,) whether it is undone by its inverse: numbers in range, permutations."""
    try:
        is_symmetry: NDArray[np.bool_] = (puzzle.inverse(puzzle.inverse(symmetries_nK)) == symmetries_nK).all(axis=1)
    except IndexError:
        if len(symmetries_nK) == 1:
            return np.zeros(1, dtype=np.bool_)
        return np.concatenate([_is_symmetry(puzzle, symmetry[None]) for symmetry in symmetries_nK])
    return is_symmetry


def _check_solved(dataset: Dataset, file: Path, variants_n: Ints) -> None:
    """Under each variant the first training example of its group keeps the rules, where rules can tell."""
    puzzle, train = dataset.puzzle, dataset.originals
    if puzzle.is_valid(train.questions.grid(0), train.answers.grid(0)) is None:
        return
    changed_n = (dataset.symmetries[variants_n] != puzzle.identity).any(axis=1)
    groups_n = np.searchsorted(dataset.starts, variants_n, side="right") - 1
    examples_n = np.minimum(np.searchsorted(train.groups, groups_n), len(train) - 1)
    kept = np.flatnonzero(changed_n & (train.groups[examples_n] == groups_n))
    examples, symmetries = examples_n[kept], dataset.symmetries[variants_n[kept]]
    questions, answers = (
        puzzle.transform(side.take(examples), symmetries) for side in (train.questions, train.answers)
    )
    if fault := puzzle.first_fault(questions, answers):
        row, message = fault
        example = f"train/questions.npy[{examples[row]}]"
        raise _fault(file, variants_n[kept[row]], f"no symmetry of {puzzle.kind}: under it, {message} of {example}")


def _check_variants(dataset: Dataset, file: Path, group: int) -> None:
    """No two variants of a group are equal in all its grids, and none colours a cell outside a grid.

    Most variants differ in the first grid, the one with most colours; each grid after it is only made for those that do
    not differ so far.
    """
    start, end = dataset.starts[group : group + 2]
    grids = _grids_of(dataset, group)
    colours = [len(np.unique(grids.grid(row))) for row in range(len(grids))]
    same_n, alike = np.zeros(end - start, np.int64), np.arange(end - start)
    for row in np.argsort(colours)[::-1]:
        images = dataset.puzzle.transform(grids.take(np.full(len(alike), row)), dataset.symmetries[start + alike])
        coloured_n = (~_inside(images) & (images.cells != 0)).any(axis=(1, 2))
        if coloured_n.any():
            raise _fault(file, start + alike[coloured_n.argmax()], f"no symmetry of {dataset.puzzle.kind}: it moves 0")
        keys: dict[tuple[int, bytes, bytes], int] = {}
        for place, cells, shape in zip(alike.tolist(), images.cells, images.shapes, strict=True):
            key = int(same_n[place]), cells.tobytes(), shape.tobytes()
            same_n[place] = keys.setdefault(key, len(keys))
        alike = alike[np.bincount(same_n[alike])[same_n[alike]] > 1]
        if not len(alike):
            return
    first, second = alike[same_n[alike] == same_n[alike[0]]][:2]
    raise _fault(file, start + second, f"the same variant of {dataset.names[group]} as symmetries.npy[{start + first}]")


def _grids_of(dataset: Dataset, group: int) -> Grids:
    """All grids of a group, from both splits, on a canvas just larger than they are, if there is one."""
    sides = []
    for examples in (dataset.originals, dataset.test):
        rows = slice(*np.searchsorted(examples.groups, [group, group + 1]))
        sides += [examples.questions.take(rows), examples.answers.take(rows)]
    shapes = np.concatenate([side.shapes for side in sides])
    size = int(shapes.max()) + 1
    return Grids(np.concatenate([side.cells[:, :size, :size] for side in sides]), shapes)
