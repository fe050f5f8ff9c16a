"""Answers of a made-up model to small datasets."""

import pytest
from made_up import Answered, answered

from hrm.data.dataset import Dataset


@pytest.fixture(scope="session")
def sudoku_answered(sudoku: Dataset) -> Answered:
    """Three Sudokus with two copies each."""
    return answered(sudoku)


@pytest.fixture(scope="session")
def arc_answered(arc: Dataset) -> Answered:
    """One ARC test input with its three variants."""
    return answered(arc, copies=None)
