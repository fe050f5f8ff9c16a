"""Bootstrap intervals, against the plain procedure, against theory, and by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.evaluation.bootstrap import bootstrap

VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60)


def test_it_is_the_mean_of_cases_drawn_anew() -> None:
    """As one would write it down: draw, take the mean, many times; the middle 95 % of the means."""
    rng = np.random.default_rng(1)
    values = rng.choice([0, 0.5, 1], 40, p=[0.6, 0.1, 0.3])
    means = [float(np.mean(rng.choice(values, len(values)))) for _ in range(20_000)]
    assert bootstrap(values) == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.0126)


def test_many_cases_have_the_interval_of_the_normal_law() -> None:
    values = np.random.default_rng(2).random(100_000).round(2)
    margin = 1.96 * values.std() / len(values) ** 0.5
    low, high = bootstrap(values)
    assert low == pytest.approx(values.mean() - margin, abs=0.08 * margin)
    assert high == pytest.approx(values.mean() + margin, abs=0.08 * margin)


def test_the_truth_lies_in_about_95_of_100_intervals() -> None:
    rng = np.random.default_rng(3)
    sets = rng.choice([0.0, 0.5, 1.0], size=(200, 150), p=[0.5, 0.2, 0.3])
    held = sum(low <= 0.4 <= high for low, high in map(bootstrap, sets))
    assert 180 <= held <= 199, "each within three standard errors of 190, or wider than it need be"


def test_pairing_leaves_out_what_both_share() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(400) < 0.5
    first, second = ~hard, ~hard | (rng.random(400) < 0.1)
    low, high = bootstrap(second.astype(float) - first)
    assert low > 0
    assert high - low < 0.7 * (bootstrap(second)[1] - bootstrap(second)[0])


@given(VALUES)
def test_the_interval_holds_the_mean_and_knows_no_order(values: list[float]) -> None:
    low, high = bootstrap(np.array(values))
    assert min(values) <= low <= np.mean(values) <= high <= max(values)
    assert bootstrap(np.array(values[::-1])) == (low, high)
