"""Folders in the published layout, ours and others', as datasets."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_tables import mazes, sudokus

from hrm.data.adopt import adopt
from hrm.data.check import check_dataset
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.info import facts
from hrm.data.loader import Position, TrainBatches
from hrm.data.published import Split, write_published
from hrm.errors import UserError
from hrm.puzzles import Arc, PuzzleKind, Sudoku


def read_back(dataset: Dataset, folder: Path) -> Dataset:
    write_published(folder / "published", dataset)
    adopt(dataset.puzzle, folder / "published", folder / "adopted")
    return open_dataset(folder / "adopted")


@pytest.mark.parametrize("make", [sudokus, mazes])
def test_what_is_exported_and_read_back_gives_identical_batches(
    make: Callable[[Path], Dataset], tmp_path: Path
) -> None:
    dataset = make(tmp_path)
    again = read_back(dataset, tmp_path)
    assert (again.seq_len, again.vocab_size, again.num_puzzle_ids, again.mean_puzzle_examples) == (16, 6, 1, 1.0)
    assert list(again.names) == list(dataset.names)
    for rows in (slice(None), slice(1, 2)):
        ours, theirs = (TrainBatches(one, batch_size=5, seed=3, rows=rows) for one in (dataset, again))
        position = Position()
        for _ in range(40):
            (one, after), (other, position) = ours.batch(position), theirs.batch(position)
            assert after == position
            assert np.array_equal(one.inputs, other.inputs)
            assert np.array_equal(one.labels, other.labels)
            assert np.array_equal(one.puzzle_ids, other.puzzle_ids)
    one, other = (
        symmetric_copies(each, copies=3, max_puzzles=None, seed=1).batch(slice(None)) for each in (dataset, again)
    )
    assert np.array_equal(one.inputs, other.inputs)
    assert np.array_equal(one.labels, other.labels)


def test_arc_read_back_is_the_same_but_for_the_places(arc: Dataset, tmp_path: Path) -> None:
    """Test copies are identical; training rows are those of the folder, and the same draws of the same tasks."""
    again = read_back(arc, tmp_path)
    assert list(again.names) == list(arc.names)
    assert np.array_equal(again.symmetries, arc.symmetries)
    assert np.array_equal(again.starts, arc.starts)
    assert (again.num_puzzle_ids, again.mean_puzzle_examples) == (arc.num_puzzle_ids, arc.mean_puzzle_examples)
    one, other = (symmetric_copies(each, copies=None, max_puzzles=None, seed=0) for each in (arc, again))
    assert np.array_equal(one.symmetries_MK, other.symmetries_MK)
    for name in ("inputs", "labels", "puzzle_ids"):
        assert np.array_equal(getattr(one.batch(slice(None)), name), getattr(other.batch(slice(None)), name))
    inputs, labels, ids, ends = next(Split(arc, "train").parts())
    owners = np.searchsorted(ends, np.arange(len(inputs)), side="right")
    stored = {
        (*row, *label, ids[owner]) for row, label, owner in zip(inputs.tolist(), labels.tolist(), owners, strict=True)
    }
    ours, theirs = (TrainBatches(each, batch_size=12, seed=3) for each in (arc, again))
    position, drawn = Position(), set()
    for _ in range(150):
        (moved, _), (batch, after) = ours.batch(position), theirs.batch(position)
        assert np.array_equal(batch.puzzle_ids, moved.puzzle_ids)
        for one_side, other_side in ((batch.inputs, moved.inputs), (batch.labels, moved.labels)):
            assert [sorted(row[row > 1]) for row in one_side] == [sorted(row[row > 1]) for row in other_side]
        unignored = np.where(batch.labels == -100, 0, batch.labels).tolist()
        drawn |= {
            (*row, *label, i) for row, label, i in zip(batch.inputs.tolist(), unignored, batch.puzzle_ids, strict=True)
        }
        position = after
    assert drawn == stored


def write_folder(
    folder: Path,
    names: list[str],
    splits: dict[str, tuple[list[list[int]], list[int], list[int], list[int]]],
    **counts: object,
) -> Path:
    """A folder on a canvas of 2, as somebody's own builder may write it: labels equal inputs, wide integers."""
    folder.mkdir()
    (folder / "identifiers.json").write_text(json.dumps(["<blank>", *names]))
    for split, (tokens, ids, puzzles, groups) in splits.items():
        about = {"pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0, "vocab_size": 12, "seq_len": 4}
        about |= {"num_puzzle_identifiers": len(names) + 1, "sets": ["all"], **counts}
        (folder / split).mkdir()
        (folder / split / "dataset.json").write_text(json.dumps(about))
        arrays = {"inputs": tokens, "labels": tokens, "puzzle_identifiers": ids, "puzzle_indices": puzzles}
        for field, values in (arrays | {"group_indices": groups}).items():
            np.save(folder / split / f"all__{field}.npy", np.array(values, np.int64))
    return folder


FULL, ROW = [2, 3, 4, 5], [2, 3, 1, 1]
TURNED = [4, 2, 5, 3]
"""`FULL` after three quarter turns counter-clockwise."""
AA = "aa_t3_0123456789"
SPLITS = {
    "train": ([FULL, ROW, TURNED, ROW, FULL], [1, 2, 4], [0, 2, 4, 5], [0, 2, 3]),
    "test": ([TURNED, FULL, ROW], [2, 1, 3], [0, 1, 2, 3], [0, 2, 3]),
}
NAMES = ["aa", AA, "bb|||t3", "bb"]


def test_a_folder_of_another_builder(tmp_path: Path) -> None:
    """Wide integers, variants before their original, and names that tell nothing: those are tasks of their own."""
    adopt(Arc(canvas_size=2), write_folder(tmp_path / "theirs", NAMES, SPLITS), tmp_path / "built")
    dataset = open_dataset(tmp_path / "built")
    assert list(dataset.names) == ["aa", "bb|||t3", "bb"]
    assert dataset.starts.tolist() == [0, 2, 3, 4]
    assert dataset.num_puzzle_ids == 5
    assert dataset.test.groups.tolist() == [0, 1]
    copies = symmetric_copies(dataset, copies=None, max_puzzles=None, seed=0)
    batch = copies.batch(slice(None))
    assert batch.inputs.tolist() == [FULL, TURNED, ROW]
    assert batch.puzzle_ids.tolist() == [1, 2, 3]
    seen, position, loader = set(), Position(), TrainBatches(dataset, batch_size=3, seed=0)
    for _ in range(20):
        drawn, position = loader.batch(position)
        seen |= {(*row, i) for row, i in zip(drawn.inputs.tolist(), drawn.puzzle_ids.tolist(), strict=True)}
    assert seen == {(*FULL, 1), (*ROW, 1), (*TURNED, 2), (*ROW, 2), (*FULL, 4)}
    assert facts(check_dataset(dataset.path), None)["variant_examples"] == len(dataset.train) == 5
    with pytest.raises(UserError, match=r"built: its training examples are those of a published folder"):
        write_published(tmp_path / "out", dataset)


def edit(file: str, values: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        if file.endswith(".json"):
            (folder / file).write_text(json.dumps(values))
        else:
            np.save(folder / file, np.array(values))

    return apply


def change(key: str, value: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "train/dataset.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))

    return apply


def zipped(file: Path) -> None:
    """An archive in the place of an array."""
    with file.open("wb") as stream:
        np.savez(stream, labels=np.zeros((1, 1), np.uint8))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "identifiers.json").unlink(), r"identifiers.json: no such file"),
        (edit("identifiers.json", ["aa"]), r"identifiers.json: expected a list of names that begins with '<blank>'"),
        (edit("identifiers.json", ["<blank>", "aa", "aa"]), r"identifiers.json: a name stands there twice"),
        (lambda folder: (folder / "test/dataset.json").unlink(), r"test/dataset.json: no such file"),
        (edit("train/dataset.json", {"pad_id": 0}), r"train/dataset.json: blank_identifier_id, .* missing"),
        (change("seq_len", 900), r"train/dataset.json: seq_len = 900, but it is 4 .* correct build.puzzle"),
        (change("sets", ["all", "more"]), r"train/dataset.json: sets = \['all', 'more'\]"),
        (change("ignore_label_id", None), r"train/dataset.json: ignore_label_id = None"),
        (lambda folder: (folder / "train/all__labels.npy").unlink(), r"train/all__labels.npy: no such file"),
        (lambda folder: zipped(folder / "train/all__labels.npy"), r"train/all__labels.npy: damaged \("),
        (lambda folder: (folder / "train/all__labels.npy").write_bytes(b"\x93NUMPY"), r"all__labels.npy: damaged"),
        (edit("train/all__labels.npy", [FULL]), r"train/all__labels.npy: 1 rows for 5 inputs"),
        (edit("train/all__inputs.npy", [[0.5] * 4]), r"train/all__inputs.npy: float64 of 2 dimensions"),
        (edit("train/all__inputs.npy", [FULL[:3]]), r"train/all__inputs.npy: shape \(1, 3\)"),
        (
            edit("train/all__inputs.npy", [FULL, [0, 0, 12, 0]]),
            r"all__inputs.npy: row 1, place 2: token 12 is not 0 to 11",
        ),
        (
            edit("train/all__puzzle_identifiers.npy", [1, 2, 5]),
            r"puzzle_identifiers.npy: a puzzle id is not from 1 to 4",
        ),
        (edit("train/all__puzzle_identifiers.npy", [1, 2]), r"puzzle_indices.npy: 4 entries for 2 puzzles"),
        (edit("train/all__puzzle_indices.npy", [0, 4, 2, 5]), r"puzzle_indices.npy: does not rise from 0 to 5"),
        (edit("train/all__group_indices.npy", [0, 3, 4]), r"group_indices.npy: does not rise from 0 to 3"),
        (edit("train/all__group_indices.npy", [0, 1, 3]), r"group_indices.npy: puzzle 2 has more or fewer examples"),
        (
            edit("test/all__inputs.npy", [TURNED, [0, 2, 0, 1], ROW]),
            r"test/all__inputs.npy: row 1 is not arc at the top",
        ),
        (
            edit("test/all__labels.npy", [FULL, FULL, ROW]),
            r"test: puzzle 0 is not the variant that its identifier names",
        ),
    ],
)
def test_damage_is_told_in_a_line(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "theirs", NAMES, SPLITS)
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        adopt(Arc(canvas_size=2), folder, tmp_path / "built")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "built").exists()


@pytest.mark.parametrize(("puzzle", "key"), [(Arc(canvas_size=4), "vocab_size"), (Sudoku(), "seq_len")])
def test_another_kind_or_size(puzzle: PuzzleKind, key: str, tmp_path: Path) -> None:
    write_published(tmp_path / "published", sudokus(tmp_path))
    with pytest.raises(UserError, match=rf"dataset.json: {key} = .* correct build.puzzle"):
        adopt(puzzle, tmp_path / "published", tmp_path / "built")


def test_a_stored_array_that_was_changed(tmp_path: Path) -> None:
    adopt(Arc(canvas_size=2), write_folder(tmp_path / "theirs", NAMES, SPLITS), tmp_path / "built")
    inputs = np.load(tmp_path / "built/train/inputs.npy")
    np.save(tmp_path / "built/train/inputs.npy", np.roll(inputs, 1, axis=0))
    with pytest.raises(UserError, match="digest"):
        check_dataset(tmp_path / "built")
    np.save(tmp_path / "built/train/inputs.npy", inputs[:3])
    with pytest.raises(UserError, match=r"train/inputs.npy: uint8 of shape \(3, 4\) instead of"):
        open_dataset(tmp_path / "built")
