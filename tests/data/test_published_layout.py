"""The published layout, read back literally, against the raw puzzles and against what our own loader draws."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_tables import mazes, sudokus

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.loader import Position, TrainBatches
from hrm.data.published import Split, write_published
from hrm.errors import UserError
from hrm.puzzles import Arc
from hrm.puzzles.base import Bytes

FIELDS = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")
TRANSFORMS = (
    lambda grid: grid,
    lambda grid: np.rot90(grid, 1),
    lambda grid: np.rot90(grid, 2),
    lambda grid: np.rot90(grid, 3),
    np.fliplr,
    np.flipud,
    np.transpose,
    lambda grid: np.fliplr(np.rot90(grid)),
)
Arrays = dict[str, NDArray[Any]]


def exported(dataset: Dataset, folder: Path) -> tuple[Arrays, Arrays]:
    """The arrays of the two splits."""
    write_published(folder, dataset)
    train, test = (
        {field: np.load(folder / split / f"all__{field}.npy", allow_pickle=False) for field in FIELDS}
        for split in ("train", "test")
    )
    return train, test


def test_exactly_the_published_files_types_and_shapes(arc: Dataset, tmp_path: Path) -> None:
    train, test = exported(arc, tmp_path / "out")
    files = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert files == {"identifiers.json"} | {
        f"{split}/{name}"
        for split in ("train", "test")
        for name in ("dataset.json", *(f"all__{field}.npy" for field in FIELDS))
    }
    # Seven variants each; 2 + 3 + 5 + 2 + 3 pairs train, 1 + 2 test.
    shapes = {"train": (105, 35, 5), "test": (21, 14, 2)}
    for split, arrays in {"train": train, "test": test}.items():
        examples, puzzles, groups = shapes[split]
        assert {field: (array.dtype.str, array.shape) for field, array in arrays.items()} == {
            "inputs": ("|u1", (examples, 64)),
            "labels": ("|u1", (examples, 64)),
            "puzzle_identifiers": ("<i4", (puzzles,)),
            "puzzle_indices": ("<i4", (puzzles + 1,)),
            "group_indices": ("<i4", (groups + 1,)),
        }
        assert arrays["puzzle_indices"][[0, -1]].tolist() == [0, examples]
        assert arrays["group_indices"].tolist() == [7 * group for group in range(groups + 1)]
        assert json.loads((tmp_path / "out" / split / "dataset.json").read_text()) == {
            "pad_id": 0,
            "ignore_label_id": 0,
            "blank_identifier_id": 0,
            "vocab_size": 12,
            "seq_len": 64,
            "num_puzzle_identifiers": 36,
            "total_groups": groups,
            "mean_puzzle_examples": examples / puzzles,
            "sets": ["all"],
        }
    assert np.diff(train["puzzle_indices"]).tolist() == [size for size in (2, 3, 5, 2, 3) for _ in range(7)]
    assert np.diff(test["puzzle_indices"]).tolist() == [1] * 7 + [2] * 7
    assert train["puzzle_identifiers"].tolist() == list(range(1, 36))
    assert test["puzzle_identifiers"].tolist() == list(range(22, 36))


def canvas(grid: Bytes, top: int, left: int) -> Bytes:
    """A grid on a canvas of 8, as the method's description says."""
    (height, width), tokens = grid.shape, np.zeros((9, 9), np.uint8)
    tokens[top : top + height, left : left + width] = grid + 2
    tokens[top + height, left : left + width] = tokens[top : top + height, left + width] = 1
    return tokens[:8, :8].ravel()


def test_arc_variants_are_the_raw_tasks_by_their_names(arc: Dataset, arc_raw: Path, tmp_path: Path) -> None:
    """Each row is a raw pair, transformed and recoloured as its identifier says, and moved with its answer."""
    splits = dict(zip(("train", "test"), exported(arc, tmp_path / "out"), strict=True))
    names = json.loads((tmp_path / "out/identifiers.json").read_text())
    assert names[0] == "<blank>"
    stays: set[int] = set()
    moves = set()
    for split, arrays in splits.items():
        for puzzle, identifier in enumerate(arrays["puzzle_identifiers"]):
            task, _, variant = names[identifier].partition("_t")
            transform, _, digits = variant.partition("_")
            colours = np.array([int(digit) for digit in digits or "0123456789"], np.uint8)
            (file,) = (arc_raw / "tasks").rglob(f"{task}.json")
            content = json.loads(file.read_text())
            trained = content["train"] + (content["test"] if file.parent.name == "training" else [])
            rows = range(*arrays["puzzle_indices"][puzzle : puzzle + 2])
            still = []
            for pair, row in zip(trained if split == "train" else content["test"], rows, strict=True):
                grids = [colours[TRANSFORMS[int(transform or 0)](np.array(pair[side]))] for side in ("input", "output")]
                places = np.argwhere(arrays["inputs"][row].reshape(8, 8) >= 2).min(axis=0).tolist()
                for grid, field in zip(grids, ("inputs", "labels"), strict=True):
                    assert np.array_equal(arrays[field][row], canvas(grid, *places))
                still.append(places == [0, 0])
                moves.add((split, *places))
            assert any(still) if split == "train" else all(still)
            stays |= {place for place, stayed in enumerate(still) if stayed and split == "train"}
    assert stays == {0, 1, 2, 3, 4}, "any pair may be the one that stays"
    assert {move for move in moves if move[0] == "test"} == {("test", 0, 0)}
    assert len(moves) > 15


def test_one_pair_of_each_puzzle_stays_and_the_others_go_anywhere(tmp_path: Path) -> None:
    """With a grid of one cell on a canvas of 4: each of 16 places equally often, and 0, 0 for the one that stays."""
    file = tmp_path / "raw/tasks/training/aa.json"
    file.parent.mkdir(parents=True)
    pairs = [{"input": [[1]], "output": [[colour]]} for colour in (2, 3, 4)]
    file.write_text(json.dumps({"train": pairs[:2], "test": pairs[2:]}))
    evaluation = file.parents[1] / "evaluation/bb.json"
    evaluation.parent.mkdir()
    evaluation.write_text(file.read_text())
    settings = BuildSettings(puzzle=Arc(canvas_size=4), sources=["tasks"], variants=1500)
    build_dataset(settings, tmp_path / "raw", tmp_path / "built")
    train, _ = exported(open_dataset(tmp_path / "built"), tmp_path / "out")
    first = train["puzzle_indices"][train["group_indices"][1]]
    places = (train["inputs"][:first] >= 2).argmax(axis=1).reshape(-1, 3)
    counts = np.bincount(places.ravel(), minlength=16)
    expected = np.full(16, 2 / 16) + np.eye(16)[0]  # of the three, two go anywhere
    assert len(places) == 1501
    assert (np.abs(counts - expected * len(places)) < 5 * np.sqrt(expected * len(places))).all()
    assert (places == 0).any(axis=1).all()
    staying = np.bincount((places == 0).argmax(axis=1)[(places == 0).sum(axis=1) == 1], minlength=3)
    assert (np.abs(staying - staying.mean()) < 5 * np.sqrt(staying.mean())).all()


def test_test_rows_are_the_copies_that_are_predicted(arc: Dataset, tmp_path: Path) -> None:
    _, test = exported(arc, tmp_path / "out")
    batch = symmetric_copies(arc, copies=None, max_puzzles=None, seed=0).batch(slice(None))
    ids = np.repeat(test["puzzle_identifiers"], np.diff(test["puzzle_indices"]))
    labels = np.where(batch.labels == -100, 0, batch.labels)
    ours = sorted(zip(batch.inputs.tolist(), labels.tolist(), batch.puzzle_ids.tolist(), strict=True))
    assert ours == sorted(zip(test["inputs"].tolist(), test["labels"].tolist(), ids.tolist(), strict=True))


@pytest.mark.parametrize("make", [sudokus, mazes])
def test_kinds_without_ids_are_what_the_loader_draws(make: Any, tmp_path: Path) -> None:
    """Variants of training puzzles only, all of id 0; what they are is seen where the loader draws them all."""
    dataset = make(tmp_path)
    train, test = exported(dataset, tmp_path / "out")
    assert json.loads((tmp_path / "out/identifiers.json").read_text()) == ["<blank>"]
    metadata = json.loads((tmp_path / "out/train/dataset.json").read_text())
    assert (metadata["num_puzzle_identifiers"], metadata["mean_puzzle_examples"]) == (1, 1.0)
    groups = len(dataset.train_groups)
    variants = int(np.diff(dataset.starts)[0])
    assert train["group_indices"].tolist() == [variants * group for group in range(groups + 1)]
    assert train["puzzle_indices"].tolist() == list(range(variants * groups + 1))
    assert not train["puzzle_identifiers"].any()
    loader, position, drawn = TrainBatches(dataset, batch_size=groups, seed=0), Position(), set()
    for _ in range(60):
        batch, position = loader.batch(position)
        drawn |= {(*row, *label) for row, label in zip(batch.inputs.tolist(), batch.labels.tolist(), strict=True)}
    rows = {(*row, *label) for row, label in zip(train["inputs"].tolist(), train["labels"].tolist(), strict=True)}
    assert rows == drawn
    assert test["group_indices"].tolist() == test["puzzle_indices"].tolist() == [0, 1]
    assert np.array_equal(test["inputs"], dataset.puzzle.encode(dataset.test.questions))
    assert np.array_equal(test["labels"], dataset.puzzle.encode(dataset.test.answers))


def test_the_same_dataset_gives_the_same_bytes_however_it_is_cut(arc: Dataset, tmp_path: Path) -> None:
    for split in (Split(arc, "train"), Split(arc, "test")):
        whole = next(split.parts())
        for size in (1, 4):
            cut = zip(*split.parts(size), strict=True)
            for one, many in zip(whole, cut, strict=True):
                assert np.array_equal(one, np.concatenate(many))
    for name in ("one", "two"):
        write_published(tmp_path / name, arc)
    one, two = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert one == two
    moved = next(Split(replace(arc, digest=f"{7:064x}"), "train").parts())
    assert not np.array_equal(moved.inputs, next(Split(arc, "train").parts()).inputs)


def test_memory_does_not_grow_with_the_variants(tmp_path: Path) -> None:
    peaks = []
    for variants in (2_000, 20_000):
        dataset = sudokus(tmp_path / str(variants), variants)
        tracemalloc.start()
        write_published(tmp_path / str(variants) / "out", dataset)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (tmp_path / str(variants) / "out/train/all__inputs.npy").stat().st_size > 3 * 16 * variants
    assert peaks[1] < 1.1 * peaks[0]


def test_more_examples_than_the_layout_counts(tmp_path: Path) -> None:
    dataset = sudokus(tmp_path)
    huge = replace(dataset, starts=np.array([0, 1 << 30, 1 << 31, (1 << 31) + 1, (1 << 31) + 2]))
    with pytest.raises(UserError, match=r"2,147,483,649 train examples .* lower build.variants"):
        write_published(tmp_path / "out", huge)
    assert not (tmp_path / "out").exists()
