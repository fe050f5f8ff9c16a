import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.training.schedule import lr_factor, total_steps


def test_total_steps_count_the_examples_of_all_epochs() -> None:
    # Sudoku-Extreme 1k: a puzzle of one example in each of 1000 groups.
    assert total_steps(epochs=20_000, groups=1000, mean_examples=1.0, global_batch=384) == 52_083
    assert total_steps(epochs=10, groups=3, mean_examples=2.5, global_batch=8) == 9
    assert isinstance(total_steps(epochs=1, groups=1, mean_examples=1.5, global_batch=1), int)


def test_warm_up_is_linear_from_zero() -> None:
    factors = [lr_factor(step, warmup_steps=4, total_steps=10, min_ratio=0.1) for step in range(5)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_cosine_ends_at_the_minimum_and_stays_there() -> None:
    def factor(step: int) -> float:
        return lr_factor(step, warmup_steps=4, total_steps=10, min_ratio=0.1)

    assert factor(7) == pytest.approx(0.55)
    assert factor(5) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 6)) / 2)
    assert factor(10) == factor(11) == pytest.approx(0.1)


@given(step=st.integers(1, 300), warmup=st.integers(0, 100))
def test_published_default_is_constant_after_the_warm_up(step: int, warmup: int) -> None:
    factor = lr_factor(step, warmup_steps=warmup, total_steps=200, min_ratio=1.0)
    assert factor == pytest.approx(min(1, step / warmup) if warmup else 1)


def test_a_run_that_ends_within_its_warm_up_only_warms_up() -> None:
    assert [lr_factor(s, warmup_steps=10, total_steps=5, min_ratio=0) for s in (1, 5)] == pytest.approx([0.1, 0.5])
