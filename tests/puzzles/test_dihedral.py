"""The eight transforms: their published order, their inverses, and that they are one group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hrm.puzzles import dihedral

codes = st.integers(0, dihedral.COUNT - 1)
grids = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))

# The published numbering, by what it does to the corners a b / c d of a 2 x 3 grid.
A_TO_F = [[1, 2, 3], [4, 5, 6]]
PUBLISHED = {
    0: [[1, 2, 3], [4, 5, 6]],
    1: [[3, 6], [2, 5], [1, 4]],
    2: [[6, 5, 4], [3, 2, 1]],
    3: [[4, 1], [5, 2], [6, 3]],
    4: [[3, 2, 1], [6, 5, 4]],
    5: [[4, 5, 6], [1, 2, 3]],
    6: [[1, 4], [2, 5], [3, 6]],
    7: [[6, 3], [5, 2], [4, 1]],
}


@pytest.mark.parametrize("code", PUBLISHED)
def test_published_order(code: int) -> None:
    assert dihedral.apply(np.array(A_TO_F), code).tolist() == PUBLISHED[code]
    assert dihedral.SWAPS_AXES[code] == (len(PUBLISHED[code]) == 3)


def test_apply_is_a_view_and_refuses_other_codes() -> None:
    grid = np.zeros((2, 3), dtype=np.uint8)
    assert all(np.shares_memory(dihedral.apply(grid, code), grid) for code in range(dihedral.COUNT))
    with pytest.raises(ValueError, match="transform 8: expected 0 to 7"):
        dihedral.apply(grid, 8)


@given(grids, codes)
def test_inverse_undoes(grid: np.ndarray, code: int) -> None:
    assert np.array_equal(dihedral.apply(dihedral.apply(grid, code), int(dihedral.INVERSE[code])), grid)


@given(codes, codes)
def test_two_transforms_are_one_of_the_eight(first: int, second: int) -> None:
    grid = np.arange(6).reshape(2, 3)
    both = dihedral.apply(dihedral.apply(grid, first), second)
    same = [code for code in range(dihedral.COUNT) if np.array_equal(dihedral.apply(grid, code), both)]
    assert len(same) == 1


@given(st.data(), st.integers(1, 5), st.integers(0, 9))
def test_square_arrays_each_under_its_own(data: st.DataObject, side: int, count: int) -> None:
    cells = data.draw(hnp.arrays(np.uint8, (count, side, side)))
    picked = data.draw(hnp.arrays(np.uint8, count, elements=codes))
    transformed = dihedral.apply_square(cells, picked)
    assert transformed.shape == cells.shape
    for before, after, code in zip(cells, transformed, picked.tolist(), strict=True):
        assert np.array_equal(dihedral.apply(before, code), after)
