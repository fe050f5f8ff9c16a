"""Small datasets of both sorts, with a puzzle id for each variant and without, and copies of their test puzzles."""

import pytest
import small_run
from made_up import Answered, answered

from hrm.data.dataset import Dataset


@pytest.fixture(scope="session")
def sudoku(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_run.sudoku_dataset(tmp_path_factory.mktemp("sudoku"))


@pytest.fixture(scope="session")
def arc(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_run.arc_dataset(tmp_path_factory.mktemp("arc"))


@pytest.fixture(scope="session")
def sudoku_answered(sudoku: Dataset) -> Answered:
    """Three Sudokus with two copies each."""
    return answered(sudoku)


@pytest.fixture(scope="session")
def arc_answered(arc: Dataset) -> Answered:
    """One ARC test input with its three variants."""
    return answered(arc, copies=None)
