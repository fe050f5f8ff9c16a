"""Whether two models were tested on the same puzzles."""

from __future__ import annotations

import hashlib

import numpy as np

from hrm.data.dataset import Dataset


def digest_of_tests(dataset: Dataset, count: int) -> str:
    """The SHA-256 of the first `count` test puzzles and answers: scores on the same digest can be compared."""
    hasher = hashlib.sha256(dataset.puzzle.model_dump_json().encode())
    for grids in (dataset.test.questions, dataset.test.answers):
        for array in (grids.cells[:count], grids.shapes[:count]):
            hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()
