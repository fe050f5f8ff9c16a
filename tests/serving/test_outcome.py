import dataclasses
import json
from pathlib import Path

import numpy as np
import small_run

from hrm.data.dataset import Dataset
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.same_tests import digest_of_tests
from hrm.puzzles.base import Examples, Grids
from hrm.serving.outcome import Outcome


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


def test_an_outcome_tells_the_originals_in_their_order(sudoku: Dataset, tmp_path: Path) -> None:
    small_run.write_predictions(tmp_path / "predictions", sudoku, [True, False])
    outcome = Outcome.of(open_predictions(tmp_path / "predictions", sudoku), sudoku)
    assert json.loads(outcome.text()) == {"test_digest": digest_of_tests(sudoku, 2), "count": 2, "solved": "10"}
    other = Outcome(outcome.tests, np.array([True, True]))
    assert other.artifact != outcome.artifact
    assert Outcome(outcome.tests, np.array([True, False])).artifact == outcome.artifact
