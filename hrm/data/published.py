"""The published layout: every variant written out in tokens, as the release's builders make it and its loader reads it.

A folder holds

    identifiers.json      the names of the variants by puzzle id, "<blank>" first
    train/  test/         dataset.json: counts, and how tokens are numbered
                          all__inputs.npy all__labels.npy: (N, L) tokens of questions and answers
                          all__puzzle_identifiers.npy: (P,) the puzzle id of each puzzle, which is a variant
                          all__puzzle_indices.npy: (P + 1,) where each puzzle's examples start
                          all__group_indices.npy: (G + 1,) where each group's puzzles start

Letters for shapes: N examples, P puzzles, G groups of one split; B examples and p puzzles of a part that is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import write_json
from hrm.data.dataset import Dataset
from hrm.data.variants import VariantPuzzles, as_variants, places
from hrm.errors import UserError
from hrm.progress import progress
from hrm.puzzles.base import Bytes, Grids, Ints

BLANK = "<blank>"
"""The name of puzzle id 0."""
PAD = 0
SET = "all"
"""The only set of examples in a split."""
TOKENS, INDEX = np.dtype(np.uint8), np.dtype("<i4")
_PART = 1 << 10  # puzzles turned into tokens at a time


def write_published(folder: Path, dataset: Dataset) -> None:
    """Write a dataset into a new folder in the published layout.

    The memory that this takes does not grow with the number of variants. Training examples are moved on the canvas as
    the release moves them: each pair of a puzzle but one, wherever there is room; test examples are not. The places are
    drawn from the dataset's digest, so that the same dataset always gives the same bytes.

    Raises:
        UserError: when the layout cannot count so many examples.
    """
    splits = {name: Split(dataset, name) for name in ("train", "test")}
    for name, split in splits.items():
        if split.num_examples > np.iinfo(INDEX).max:
            raise UserError(
                f"{dataset.path}: {split.num_examples:,} {name} examples with all variants are more than the published "
                "layout can count; lower build.variants or give build.subsample"
            )
    folder.mkdir()
    with (folder / "identifiers.json").open("w", encoding="utf-8") as stream:
        for place, name in enumerate(identifiers(dataset)):
            stream.write(f"{', ' if place else '['}{json.dumps(name)}")
        stream.write("]\n")
    for name, split in splits.items():
        (folder / name).mkdir()
        _write_arrays(folder / name, name, split)
        write_json(folder / name / "dataset.json", _metadata(split))


def identifiers(dataset: Dataset) -> Iterator[str]:
    """The names by puzzle id: the blank one, then every variant's where a kind has puzzle ids."""
    yield BLANK
    if dataset.puzzle.has_puzzle_ids:
        for group, name in enumerate(dataset.names):
            for symmetry in dataset.symmetries[dataset.starts[group] : dataset.starts[group + 1]]:
                yield dataset.puzzle.variant_name(name, symmetry)


class Part(NamedTuple):
    """Some consecutive puzzles of a split, as they are written."""

    inputs: Bytes
    """(B, L) tokens."""
    labels: Bytes
    """(B, L) tokens."""
    puzzle_identifiers: Ints
    """(p,) puzzle ids."""
    puzzle_indices: Ints
    """(p,) where the examples of each puzzle end."""


class Split:
    """What a split of a dataset comes to when all variants are written out."""

    def __init__(self, dataset: Dataset, name: str) -> None:
        """Count, and touch no grid.

        Args:
            dataset: the dataset.
            name: `train`, or `test`: never moved, and without variants where a kind has no puzzle ids.
        """
        self.dataset = dataset
        self.is_train = name == "train"
        self.examples = dataset.originals if self.is_train else dataset.test
        self.puzzles = VariantPuzzles(dataset, self.examples)
        variants_G = self.puzzles.variant_counts_G
        if not (self.is_train or dataset.puzzle.has_puzzle_ids):
            variants_G = np.ones_like(variants_G)
        self.group_indices: Ints = np.concatenate([[0], np.cumsum(variants_G)])
        self.num_examples = int((self.puzzles.sizes_G * variants_G).sum())

    @property
    def num_puzzles(self) -> int:
        """P, with all variants."""
        return int(self.group_indices[-1])

    def parts(self, puzzles_at_once: int = _PART) -> Iterator[Part]:
        """The whole split in order: groups, their variants, the examples of each; the same however it is cut."""
        staying, moving = _generators(self.dataset.digest)
        done = 0
        for start in range(0, self.num_puzzles, puzzles_at_once):
            puzzles = np.arange(start, min(start + puzzles_at_once, self.num_puzzles))
            group = np.searchsorted(self.group_indices, puzzles, side="right") - 1
            variants = self.puzzles.variant_starts_G[group] + puzzles - self.group_indices[group]
            sizes = self.puzzles.sizes_G[group]
            ends = np.cumsum(sizes)
            owner_B = np.repeat(np.arange(len(puzzles)), sizes)
            within_B = np.arange(ends[-1]) - (ends - sizes)[owner_B]
            rows_B = self.puzzles.firsts_G[group][owner_B] + within_B
            symmetries_BK = self.dataset.symmetries[variants[owner_B]]
            questions, answers = as_variants(self.dataset.puzzle, self.examples, rows_B, symmetries_BK)
            moved_B = within_B != (staying.random(len(puzzles)) * sizes).astype(np.int64)[owner_B]
            inputs, labels = self._tokens(questions, answers, moving.random((len(within_B), 2)), moved_B)
            has_ids = self.dataset.puzzle.has_puzzle_ids
            yield Part(inputs, labels, variants + 1 if has_ids else np.zeros_like(variants), done + ends)
            done += int(ends[-1])

    def _tokens(
        self, questions: Grids, answers: Grids, where_B2: NDArray[np.float64], moved_B: NDArray[np.bool_]
    ) -> tuple[Bytes, Bytes]:
        puzzle = self.dataset.puzzle
        offsets = places(puzzle, questions, answers, where_B2, moved_B) if self.is_train else None
        return puzzle.encode(questions, offsets), puzzle.encode(answers, offsets)


def _generators(digest: str) -> tuple[np.random.Generator, np.random.Generator]:
    """Which example of each puzzle stays, and where each goes: a stream each, drawn in order."""
    staying, moving = np.random.SeedSequence(int(digest, 16)).spawn(2)
    return np.random.Generator(np.random.Philox(staying)), np.random.Generator(np.random.Philox(moving))


def _write_arrays(folder: Path, name: str, split: Split) -> None:
    """The five arrays of a split; written on, not memory-mapped, since a full disk is no error to a mapping."""
    tokens = (split.num_examples, split.dataset.seq_len)
    with ExitStack() as files:
        inputs = files.enter_context(_open_array(folder, "inputs", TOKENS, tokens))
        labels = files.enter_context(_open_array(folder, "labels", TOKENS, tokens))
        ids = files.enter_context(_open_array(folder, "puzzle_identifiers", INDEX, (split.num_puzzles,)))
        ends = files.enter_context(_open_array(folder, "puzzle_indices", INDEX, (split.num_puzzles + 1,)))
        groups = files.enter_context(_open_array(folder, "group_indices", INDEX, split.group_indices.shape))
        groups.write(split.group_indices.astype(INDEX).data)
        ends.write(np.zeros(1, INDEX).data)
        total = -(-split.num_puzzles // _PART)
        for part in progress(split.parts(), total=total, desc=f"export {name}", unit="part"):
            inputs.write(np.ascontiguousarray(part.inputs).data)
            labels.write(np.ascontiguousarray(part.labels).data)
            ids.write(part.puzzle_identifiers.astype(INDEX).data)
            ends.write(part.puzzle_indices.astype(INDEX).data)


def _open_array(folder: Path, field: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> BinaryIO:
    """An array's file, behind its header."""
    stream = (folder / f"{SET}__{field}.npy").open("wb")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream


def _metadata(split: Split) -> dict[str, Any]:
    """The content of a split's `dataset.json`."""
    dataset = split.dataset
    ignored = dataset.puzzle.ignored_label
    return {
        "pad_id": PAD,
        # The release always names one, even where it does not occur.
        "ignore_label_id": PAD if ignored is None else ignored,
        "blank_identifier_id": 0,
        "vocab_size": dataset.vocab_size,
        "seq_len": dataset.seq_len,
        "num_puzzle_identifiers": dataset.num_puzzle_ids,
        "total_groups": len(split.puzzles.sizes_G),
        "mean_puzzle_examples": split.num_examples / split.num_puzzles,
        "sets": [SET],
    }
