"""What MLflow is told about a training run besides its curves, and where its run is found again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm import provenance
from hrm.artifacts import read_json, read_record, write_json
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.tracking.flat import flat
from hrm.tracking.server import public_uri

PLACE = "mlflow_run.json"
"""The file of a run's folder that says where it was logged to."""
WANDB_PLACE = "wandb_run.json"
"""The file of a run's folder that names its run in W&B."""
KEY = "hrm.key"
"""The tag of a run that its `mlflow_run.json` names too."""
PARENT = "mlflow.parentRunId"
"""The tag by which MLflow shows a run below another."""
IMPORT = "import"
"""The stage of a record of weights that were not trained here, and whose dataset is not known."""
LONGEST_PARAMETER = 500
"""Characters of a parameter's value that every MLflow server accepts."""


@dataclass(frozen=True)
class Facts:
    """A training run before it begins."""

    name: str
    """Of the experiment."""
    dataset: Dataset
    provenance: dict[str, Any]
    """The record of `hrm.provenance`: inputs, settings, code, packages."""

    @classmethod
    def of(cls, name: str, settings: TrainSettings, dataset: Dataset) -> Facts:
        """The facts of a run that begins now."""
        return cls(name, dataset, provenance.record("train", inputs={"dataset": dataset.path}, settings=settings))

    @classmethod
    def read(cls, name: str, run: Path, dataset: Dataset) -> Facts:
        """The facts that a run left behind.

        Raises:
            UserError: when there is no record of a training run, or it was trained on another dataset.
        """
        file = run / "train.provenance.json"
        if not file.is_file():
            raise UserError(f"{file}: no such file; run `hrm train {name}` first")
        record = read_record(file, ("inputs", "settings", "code"), f"run `hrm train {name}` again")
        if record.get("stage") != IMPORT and record["inputs"].get("dataset") != dataset.digest:
            raise UserError(f"{file}: trained on another dataset than {dataset.path}; run `hrm train {name}` again")
        return cls(name, dataset, record)

    @property
    def imported(self) -> bool:
        """Whether the weights were imported instead of trained."""
        return self.provenance.get("stage") == IMPORT

    @property
    def parameters(self) -> dict[str, str]:
        """Every setting of the training and of the puzzle, by dotted key."""
        settings = {**self.provenance["settings"], "puzzle": self.dataset.puzzle.model_dump(mode="json")}
        return {key: _shown(value)[:LONGEST_PARAMETER] for key, value in flat(settings)}

    @property
    def tags(self) -> dict[str, str]:
        """What a run is found by, and where it came from."""
        code = self.provenance["code"]
        verb = "checkpoint import --recipe" if self.imported else "train"
        tags = {
            "experiment": self.name,
            "puzzle": self.dataset.puzzle.kind,
            "dataset_digest": self.dataset.digest,
            "code_digest": code["digest"],
            "mlflow.source.name": f"hrm {verb} {self.name}",
            "mlflow.source.type": "LOCAL",
        }
        if commit := code["git_commit"]:
            tags |= {"git_commit": commit, "mlflow.source.git.commit": commit}
        if parent := os.environ.get("MLFLOW_RUN_ID"):
            tags[PARENT] = parent
        return tags


@dataclass(frozen=True)
class Place:
    """Where a run was logged to; kept as `mlflow_run.json` beside the other artifacts of the run."""

    tracking_uri: str
    """Without credentials."""
    experiment: str
    run_id: str
    """Empty until the server has told it."""
    key: str = ""
    """The tag by which the run is found when the answer that tells its id did not arrive."""

    def write(self, run: Path) -> None:
        """Keep it in the run's folder."""
        write_json(run / PLACE, vars(self))

    @classmethod
    def read(cls, run: Path) -> Place | None:
        """The place of a run on the present server; None when it was never logged, or to another server."""
        file = run / PLACE
        if not file.is_file():
            return None
        try:
            place = cls(**read_json(file))
        except TypeError:
            raise UserError(f"{file}: expected tracking_uri, experiment, run_id and key; remove the file") from None
        return place if place.tracking_uri == public_uri() else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
