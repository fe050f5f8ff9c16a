"""Which test puzzles a version solved: what two versions are compared by."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_json
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation.predictions import Predictions
from hrm.evaluation.same_tests import digest_of_tests

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

TESTS, SOLVED = "test_digest", "solved"
"""Tags of a version: which test puzzles, and the artifact of its run that says which of them it solved."""


@dataclass(frozen=True)
class Outcome:
    """Which test puzzles a model answered with every cell right, in one answer without voting."""

    tests: str
    """Digest of the test puzzles, see `digest_of_tests`."""
    solved_E: NDArray[np.bool_]
    """(E,) for each test puzzle, in the dataset's order."""

    @classmethod
    def of(cls, predictions: Predictions, dataset: Dataset) -> Outcome:
        """What the predictions of a run on a dataset say."""
        solved_E = predictions.exact[predictions.original]
        return cls(digest_of_tests(dataset, len(solved_E)), solved_E)

    def text(self) -> str:
        """As JSON: a character a puzzle, 1 for solved."""
        solved = "".join("01"[int(one)] for one in self.solved_E)
        return json.dumps({TESTS: self.tests, "count": len(solved), SOLVED: solved}, indent=2) + "\n"

    @property
    def artifact(self) -> str:
        """Its path below the run: named by content: registering a run again must not change older versions."""
        return f"evaluation/solved-{hashlib.sha256(self.text().encode()).hexdigest()[:16]}.json"


def read_outcome(client: MlflowClient, version: ModelVersion) -> Outcome | None:
    """Which puzzles a version solved; None where that is not on record.

    Raises:
        UserError: when the record is damaged.
        MlflowException: when it is gone.
    """
    path = version.tags.get(SOLVED)
    if path is None or version.run_id is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        record = read_json(Path(client.download_artifacts(version.run_id, path, folder)))
    where = f"{path} of version {version.version} of {version.name}"
    if not isinstance(record, dict) or not isinstance(solved := record.get(SOLVED), str):
        raise UserError(f"{where}: no record of solved puzzles; register that model again")
    if set(solved) - {"0", "1"} or record.get("count") != len(solved) or record.get(TESTS) != version.tags.get(TESTS):
        raise UserError(f"{where}: damaged; register that model again")
    return Outcome(record[TESTS], np.array([one == "1" for one in solved], bool))
