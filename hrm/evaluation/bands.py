"""Scores of some of the test puzzles at a time: by how hard they are, and by the set that they come from.

Shapes: N test puzzles, E those that were answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.puzzles.base import Ints, PuzzleKind

BANDS = 5
"""About as many bands, of as many puzzles each as equal ratings allow."""

BY_SET = "by_set"
Band = dict[str, float | int]
"""Shares of the puzzles of a band or a set, by name, and under `count` how many they are."""


def bands(ratings_N: Ints) -> list[tuple[int, int]]:
    """The first and the last rating of each band; they cover all ratings, and equal ratings are in one band.

    A band ends as soon as it has a fifth of the puzzles; what is left at the end joins the band before it, unless it is
    more than half as much.

    Args:
        ratings_N: whole numbers, at least one.
    """
    values, counts = np.unique(ratings_N, return_counts=True)
    wanted, held, firsts = len(ratings_N) / BANDS, 0, [0]
    for place, count in enumerate(counts.tolist()):
        if held >= wanted:
            firsts.append(place)
            held = 0
        held += count
    if held <= wanted / 2 and len(firsts) > 1:
        firsts.pop()
    return [(int(values[first]), int(values[after - 1])) for first, after in pairwise([*firsts, len(values)])]


def banded(
    dataset: Dataset, examples_E: NDArray[np.integer[Any]], solved: Mapping[str, NDArray[np.bool_] | None]
) -> dict[str, Any]:
    """Shares by band under a key such as `by_rating`, and under `by_set`; nothing where there are no two of these.

    The bands are those of all test puzzles of the dataset, so that runs on it can be compared however many they answer.

    Args:
        dataset: the dataset.
        examples_E: the test puzzles that were answered.
        solved: by the name of a score, (E,) which puzzles count; None where a kind has no such score.
    """
    scores = {}
    if len(found := bands(dataset.test.ratings)) > 1:
        band_E = np.searchsorted([last for _, last in found], dataset.test.ratings[examples_E])
        labels = [f"{first}" if first == last else f"{first}-{last}" for first, last in found]
        scores[key_of(dataset.puzzle)] = _shares(labels, band_E, solved)
    if dataset.test_sets is not None:
        scores[BY_SET] = _shares(dataset.test_sets.names, dataset.test_sets.members[examples_E], solved)
    return scores


def _shares(labels: Sequence[str], part_E: Ints, solved: Mapping[str, NDArray[np.bool_] | None]) -> dict[str, Band]:
    """The shares of each part that has puzzles, by its label."""
    scores: dict[str, Band] = {}
    for number, label in enumerate(labels):
        mine_E = part_E == number
        if count := int(mine_E.sum()):
            shares = {name: float(of_E[mine_E].mean()) for name, of_E in solved.items() if of_E is not None}
            scores[label] = {**shares, "count": count}
    return scores


def key_of(puzzle: PuzzleKind) -> str:
    """Where `evaluate.json` and `vote.json` have the scores by band: `by_rating`, or `by_path_length`."""
    return f"by_{puzzle.rating_name.replace(' ', '_')}"


def bands_of(puzzle: PuzzleKind, scores: Mapping[str, Any]) -> Iterator[tuple[str, Band]]:
    """The bands that a record of scores holds, each with its label for people, such as `12–40`."""
    for label, band in scores.get(key_of(puzzle), {}).items():
        yield label.replace("-", "–"), band
