"""What of a dataset a page can show: all of it up to a bound, each example as a grid of its own extent.

Where symmetries are of steps, a page makes variants itself and each example is there once, in the block of its group.
Otherwise each variant is a block of its own, with its examples as it has them.

Letters for shapes: G groups, V variants, N examples, B blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hrm.data.dataset import Dataset
from hrm.data.stored import StoredExamples, distinct, ranges
from hrm.data.variants import as_variants
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind

GROUPS = 10_000
"""Groups shown of either split."""
CELLS = 32 << 20
"""Bytes of grids that the groups of a split may have, were each of one example."""
SYMMETRIES = 32 << 20
"""Bytes of symmetries that a page can hold."""
WRITTEN_OUT = 8
"""Variants shown of a group where the page cannot make them itself."""


@dataclass(frozen=True)
class Shown:
    """The part of a dataset that is shown, its groups and variants numbered anew."""

    written_out: bool
    """Whether each variant is a block, instead of each group."""
    groups: Ints
    """(G,) which groups of the dataset."""
    variants: Ints
    """(V,) which variants of the dataset, consecutive by group."""
    variant_starts: Ints
    """(G + 1,) where each group's variants start."""
    blocks: Ints
    """(B + 1,) where each block's examples start, those of the train split first."""
    tests: Ints
    """(B,) where each block's test examples start."""
    questions: Grids
    """(N,) grids."""
    answers: Grids
    """(N,) grids."""
    ratings: Ints
    """(N,) how hard each example is, 0 where that is not known."""


def shown(dataset: Dataset) -> Shown:
    """The first groups of either split and their first variants, as many as a page can hold."""
    written_out = not dataset.puzzle.steps or isinstance(dataset.train, StoredExamples)
    most = min(GROUPS, CELLS // (2 * dataset.seq_len)) // (WRITTEN_OUT if written_out else 1)
    groups = np.union1d(distinct(_train_groups(dataset))[:most], distinct(dataset.test.groups)[:most])
    counts_G = np.diff(dataset.starts)[groups]
    kept = WRITTEN_OUT if written_out else int(counts_G.max())
    while kept > 1 and np.minimum(counts_G, kept).sum() * dataset.symmetries.shape[1] > SYMMETRIES:
        kept = kept * 3 // 4
    kept_G = np.minimum(counts_G, kept)
    variants = ranges(dataset.starts[groups], kept_G)
    owners_B = np.repeat(groups, kept_G) if written_out else groups
    variants_B = variants if written_out else dataset.starts[groups]
    train = _train(dataset, owners_B, variants_B)
    test = _block_examples(dataset.puzzle, dataset.test, owners_B, dataset.symmetries[variants_B])
    order = np.argsort(np.concatenate([train.groups, test.groups]), kind="stable")
    trained_B, tested_B = (np.bincount(split.groups, minlength=len(owners_B)) for split in (train, test))
    blocks = np.concatenate([[0], np.cumsum(trained_B + tested_B)])
    return Shown(
        written_out=written_out,
        groups=groups,
        variants=variants,
        variant_starts=np.concatenate([[0], np.cumsum(kept_G)]),
        blocks=blocks,
        tests=blocks[:-1] + trained_B,
        questions=train.questions.joined(test.questions).take(order),
        answers=train.answers.joined(test.answers).take(order),
        ratings=np.concatenate([train.ratings, test.ratings])[order],
    )


def _train(dataset: Dataset, owners_B: Ints, variants_B: Ints) -> Examples:
    if isinstance(dataset.train, StoredExamples):
        return _stored_examples(dataset, dataset.train, variants_B)
    return _block_examples(dataset.puzzle, dataset.train, owners_B, dataset.symmetries[variants_B])


def _block_examples(puzzle: PuzzleKind, split: Examples, owners_B: Ints, symmetries_BK: Bytes) -> Examples:
    """The examples of each block's group under the block's symmetry; `groups` of the result are blocks."""
    firsts = np.searchsorted(split.groups, owners_B)
    sizes = np.searchsorted(split.groups, owners_B, side="right") - firsts
    rows, blocks = ranges(firsts, sizes), np.repeat(np.arange(len(owners_B)), sizes)
    questions, answers = as_variants(puzzle, split, rows, symmetries_BK[blocks])
    return Examples(questions, answers, blocks, split.ratings[rows])


def _stored_examples(dataset: Dataset, stored: StoredExamples, variants_B: Ints) -> Examples:
    """The stored examples of each variant; `groups` of the result are places in `variants_B`."""
    puzzle_of_V = np.full(len(dataset.symmetries), -1)
    puzzle_of_V[_stored_variants(dataset, stored)] = np.arange(len(stored.puzzle_ids))
    blocks = np.flatnonzero(puzzle_of_V[variants_B] >= 0)
    puzzles = puzzle_of_V[variants_B[blocks]]
    sizes = np.diff(stored.puzzle_starts).astype(np.int64)[puzzles]
    rows = ranges(stored.puzzle_starts[puzzles], sizes)
    questions, answers = (
        dataset.puzzle.decode(_at_top_left(tokens[rows], dataset.puzzle.canvas))
        for tokens in (stored.inputs, stored.labels)
    )
    return Examples(questions, answers, np.repeat(blocks, sizes), np.zeros(len(rows), np.int64))


def _stored_variants(dataset: Dataset, stored: StoredExamples) -> Ints:
    """(P,) the variant that each stored puzzle is; without ids, they are the first of all, in order."""
    if dataset.puzzle.has_puzzle_ids:
        return stored.puzzle_ids.astype(np.int64) - 1
    return np.arange(len(stored.puzzle_ids))


def _train_groups(dataset: Dataset) -> Ints:
    """The group of each training example, or of each puzzle of a published folder; ascending."""
    if isinstance(dataset.train, StoredExamples):
        variants_P = np.sort(_stored_variants(dataset, dataset.train))
        return np.searchsorted(dataset.starts, variants_P, side="right") - 1
    return dataset.train.groups


def _at_top_left(tokens_NL: Bytes, canvas: tuple[int, int]) -> Bytes:
    """Canvases moved so that what is on them begins in the first row and column; the pad token is 0."""
    tokens_NHW = tokens_NL.reshape(-1, *canvas)
    moved = np.zeros_like(tokens_NHW)
    tops, lefts = ((tokens_NHW != 0).any(axis=axis).argmax(axis=1).tolist() for axis in (2, 1))
    for target, source, top, left in zip(moved, tokens_NHW, tops, lefts, strict=True):
        target[: canvas[0] - top, : canvas[1] - left] = source[top:, left:]
    return moved.reshape(tokens_NL.shape)
