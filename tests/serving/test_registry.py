import dataclasses

import numpy as np
import pytest

from hrm.data.dataset import Dataset
from hrm.puzzles.base import Examples, Grids
from hrm.serving.registry import deserves_champion, digest_of_tests

CHAMPION = {"exact_accuracy": "0.5", "test_digest": "a"}


@pytest.mark.parametrize(
    ("score", "digest", "champion", "deserved"),
    [
        ("0.1", "a", None, True),
        ("0.50001", "a", CHAMPION, True),
        ("0.5", "a", CHAMPION, False),
        ("0.4", "a", CHAMPION, False),
        ("0.9", "b", CHAMPION, False),
        ("0.9", "a", {}, False),
        ("1.0", "a", {"exact_accuracy": "9e-2", "test_digest": "a"}, True),
    ],
)
def test_only_a_higher_score_on_the_same_tests_wins(
    score: str, digest: str, champion: dict[str, str] | None, deserved: bool
) -> None:
    assert deserves_champion({"exact_accuracy": score, "test_digest": digest}, champion) is deserved


def test_the_digest_is_that_of_the_tests_looked_at(sudoku: Dataset) -> None:
    def with_answer(row: int) -> Dataset:
        cells = np.array(sudoku.test.answers.cells)
        cells[row, 0, 0] += 1
        test = Examples(
            sudoku.test.questions, Grids(cells, sudoku.test.answers.shapes), sudoku.test.groups, sudoku.test.ratings
        )
        return dataclasses.replace(sudoku, test=test)

    digest = digest_of_tests(sudoku, 2)
    assert digest_of_tests(with_answer(2), 2) == digest
    assert digest_of_tests(with_answer(1), 2) != digest
    assert digest_of_tests(sudoku, 3) != digest
    assert digest_of_tests(dataclasses.replace(sudoku, train=sudoku.test), 2) == digest
