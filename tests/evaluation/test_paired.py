"""The exact sign test, against numbers of others and by its properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hrm.evaluation.paired import Paired, sign_test

COUNTS = st.integers(0, 400)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 0.0625),
        (6, 0, 0.03125),
        (0, 6, 0.03125),
        (12, 2, 0.012939453125),
        (8, 8, 1.0),
        (9, 8, 1.0),
        # The classical example of McNemar's test (Agresti, approval of a prime minister): 150 and 86 changed sides.
        (150, 86, 3.716e-05),
    ],
)
def test_known_numbers(wins: int, losses: int, p_value: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p_value, rel=1e-3 if losses == 86 else 1e-15)


@given(COUNTS, COUNTS)
def test_it_is_the_binomial_test(wins: int, losses: int) -> None:
    if wins + losses:
        assert sign_test(wins, losses) == pytest.approx(binomtest(wins, wins + losses).pvalue, rel=1e-9)


@given(COUNTS, COUNTS)
def test_neither_model_is_preferred_and_a_clearer_split_is_never_more_probable(wins: int, losses: int) -> None:
    assert 0 < sign_test(wins, losses) <= 1
    assert sign_test(wins, losses) == sign_test(losses, wins)
    if wins >= losses:
        assert sign_test(wins + 1, losses) <= sign_test(wins, losses)


def test_a_large_count_is_exact_and_quick() -> None:
    assert sign_test(33_000, 33_000) == 1
    assert sign_test(33_500, 32_500) == pytest.approx(binomtest(32_500, 66_000).pvalue, rel=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_every_puzzle_is_counted_once(pairs: list[tuple[bool, bool]]) -> None:
    new_E, old_E = (np.array([pair[side] for pair in pairs], bool) for side in (0, 1))
    paired, swapped = Paired.of(new_E, old_E), Paired.of(old_E, new_E)
    assert paired.count == len(pairs)
    assert (paired.both + paired.only_new, paired.both + paired.only_old) == (new_E.sum(), old_E.sum())
    assert swapped == Paired(paired.both, paired.only_old, paired.only_new, paired.none)
    assert not (paired.new_is_better and swapped.new_is_better)


def test_only_more_than_chance_is_better() -> None:
    assert Paired(100, 6, 0, 0).new_is_better
    assert not Paired(100, 5, 0, 0).new_is_better
    assert not Paired(100, 0, 6, 0).new_is_better
