"""Putting a trained model into MLflow: self-contained, pinned, without a pickled object."""

from __future__ import annotations

import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hrm.artifacts import write_json
from hrm.data.dataset import Dataset
from hrm.data.published import identifiers
from hrm.provenance import CODE, MODEL_PACKAGES
from hrm.training.card import LoadedModel

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo


def log_model(loaded: LoadedModel, dataset: Dataset) -> ModelInfo:
    """Log a model to the active run of MLflow, with this package's code, a signature and an example.

    Args:
        loaded: the model, from its checkpoint.
        dataset: the one it was trained on; names the puzzle ids, and gives the example.
    """
    import mlflow

    from hrm.serving.pyfunc import CARD, IDENTIFIERS, WEIGHTS, signature

    artifacts = {WEIGHTS: loaded.folder / "model.safetensors", CARD: loaded.folder / "model.json"}
    with tempfile.TemporaryDirectory() as folder:
        if dataset.puzzle.has_puzzle_ids:
            artifacts[IDENTIFIERS] = Path(folder) / "identifiers.json"
            write_json(artifacts[IDENTIFIERS], list(identifiers(dataset)))
        info: ModelInfo = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(CODE / "serving" / "model_code.py"),
            artifacts={name: str(path) for name, path in artifacts.items()},
            code_paths=[str(CODE)],
            signature=signature(loaded.card),
            input_example=example(dataset),
            pip_requirements=requirements(),
        )
    return info


def example(dataset: Dataset) -> pd.DataFrame:
    """The smallest test puzzle, the first of them, as the model takes it."""
    row = int(dataset.test.questions.shapes.astype(np.int64).prod(axis=1).argmin())
    columns = {"puzzle": [dataset.puzzle.format(dataset.test.questions.grid(row))]}
    if dataset.puzzle.has_puzzle_ids:
        columns["task"] = [dataset.names[int(dataset.test.groups[row])]]
    return pd.DataFrame(columns, dtype=object)


def requirements() -> list[str]:
    """Each package at the version installed here, without the mark of a build such as `+cpu`."""
    return [f"{package}=={metadata.version(package).partition('+')[0]}" for package in MODEL_PACKAGES]
