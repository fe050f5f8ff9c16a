"""Histograms of ratings: every rating in one bin, bins that suit the spread."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hrm.data.ratings import MOST_BINS, Bin, rating_histogram


def test_equal_widths() -> None:
    assert rating_histogram(np.array([0, 2, 2, 3])) == [Bin(0, 0, 1), Bin(1, 1, 0), Bin(2, 2, 2), Bin(3, 3, 1)]
    mazes = rating_histogram(np.array([111, 112, 119, 120, 163]))
    assert [(each.low, each.high) for each in mazes][:2] == [(110, 114), (115, 119)]
    assert [each.count for each in mazes] == [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_doubling_widths_for_a_long_tail() -> None:
    bins = rating_histogram(np.array([0, 0, 1, 2, 3, 5, 100]))
    assert [(each.low, each.high, each.count) for each in bins] == [
        *[(0, 0, 2), (1, 1, 1), (2, 3, 2), (4, 7, 1)],
        *[(8, 15, 0), (16, 31, 0), (32, 63, 0), (64, 127, 1)],
    ]
    assert rating_histogram(np.array([10, 10, 10, 500]))[0] == Bin(8, 15, 3)
    assert [each.high for each in rating_histogram(np.array([1, 1, 1, 10]))] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert [each.high for each in rating_histogram(np.array([1, 1, 1, 11]))] == [1, 3, 7, 15]


def test_one_and_none() -> None:
    assert rating_histogram(np.array([], np.int64)) == []
    assert rating_histogram(np.array([0, 0])) == [Bin(0, 0, 2)]
    assert rating_histogram(np.array([110])) == [Bin(110, 110, 1)]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_every_rating_is_in_one_bin(ratings: list[int]) -> None:
    bins = rating_histogram(np.array(ratings))
    assert [sum(each.low <= rating <= each.high for rating in ratings) for each in bins] == [
        each.count for each in bins
    ]
    assert sum(each.count for each in bins) == len(ratings)
    assert all(after.low == each.high + 1 for each, after in pairwise(bins))
    assert bins[0].count
    assert bins[-1].count
    assert len(bins) <= max(MOST_BINS, 21)
