"""How a set of ratings is spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hrm.puzzles.base import Ints

MOST_BINS = 12
"""Bins of equal width are made wider until there are no more than this."""


@dataclass(frozen=True)
class Bin:
    """How many ratings lie between two numbers."""

    low: int
    """The smallest rating of the bin."""
    high: int
    """The largest rating of the bin."""
    count: int
    """Ratings in it."""


def rating_histogram(ratings_N: Ints) -> list[Bin]:
    """Bins that cover all ratings without a gap, the first and the last not empty.

    Where a few ratings are far larger than most (the largest more than ten times the median), each bin is as wide as
    all before it: 0, 1, 2-3, 4-7, ... Otherwise all are as wide as each other: 1, 2 or 5 times a power of ten.

    Args:
        ratings_N: (N,) whole numbers, 0 or more; none give no bins.
    """
    if not len(ratings_N):
        return []
    least, most = int(ratings_N.min()), int(ratings_N.max())
    if most > 10 * max(float(np.median(ratings_N)), 1):
        starts = [0, *(1 << power for power in range(most.bit_length() + 1))]
        starts = [low for low, after in pairwise(starts) if after > least] + starts[-1:]
    else:
        width = next(width for width in _round_numbers() if most // width - least // width < MOST_BINS)
        starts = [number * width for number in range(least // width, most // width + 2)]
    counts = np.histogram(ratings_N, bins=[*starts[:-1], most + 1])[0].tolist()
    return [Bin(low, after - 1, count) for (low, after), count in zip(pairwise(starts), counts, strict=True)]


def _round_numbers() -> Iterator[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10
