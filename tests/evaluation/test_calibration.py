"""Calibration: bins, their shares, and what the page says of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.evaluation.calibration import BINS, calibration, reliability


def test_bins_hold_what_came_true_of_what_was_said() -> None:
    said = np.array([0.05, 0.05, 0.5, 0.93, 0.97, 1.0])
    with np.errstate(divide="ignore"):
        logits = np.log(said / (1 - said)).astype(np.float32)
    found = calibration(logits, np.array([False, True, True, True, False, True]))
    assert found.count.tolist() == [2, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert found.filled == [0, 5, 9]
    assert found.confidence[found.filled] == pytest.approx([0.05, 0.5, 2.9 / 3])
    assert found.right[found.filled] == pytest.approx([0.5, 1, 2 / 3])
    assert found.error == pytest.approx((2 * 0.45 + 0.5 + 3 * 0.3) / 6)
    text = reliability(found)
    assert text.count("<circle") == 3
    assert '<th scope="row">90–100\N{NO-BREAK SPACE}%</th><td>3</td><td>96.7\N{NO-BREAK SPACE}%</td>' in text
    assert "6 answers: they lie 38.3\N{NO-BREAK SPACE}% apart on average" in text


@given(st.lists(st.tuples(st.floats(-200, 200, width=32), st.booleans()), min_size=1, max_size=50))
def test_every_answer_is_in_one_bin(answers: list[tuple[float, bool]]) -> None:
    logits, right = (np.array(column) for column in zip(*answers, strict=True))
    found = calibration(logits.astype(np.float32), right)
    assert found.count.sum() == len(answers)
    assert found.count @ found.right == pytest.approx(right.sum())
    assert 0 <= found.error <= 1
    for place in found.filled:
        assert place / BINS - 1e-9 <= found.confidence[place] <= (place + 1) / BINS + 1e-9


def test_no_answer_that_is_sure_is_an_error() -> None:
    sure = calibration(np.array([-200, 200], np.float32), np.array([False, True]))
    assert sure.error == 0
