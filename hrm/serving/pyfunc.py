"""The registry's model: puzzles as text in, answers as a table out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from hrm.artifacts import read_json
from hrm.puzzles.base import PuzzleKind
from hrm.serving.solve import solve_puzzles
from hrm.training.card import LoadedModel, model_of, read_card

WEIGHTS, CARD, IDENTIFIERS = "weights", "card", "identifiers"
"""The model's artifacts: `model.safetensors`, `model.json`, and for kinds with puzzle ids their names in order."""


class PuzzleModel(PythonModel):
    """Solves puzzles of the kind it was trained on."""

    def load_context(self, context: PythonModelContext) -> None:
        """Build the model from its artifacts, on the GPU where there is one."""
        artifacts = {name: Path(path) for name, path in context.artifacts.items()}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        card = read_card(artifacts[CARD])
        model = model_of(card, artifacts[WEIGHTS], device)
        self._loaded = LoadedModel(model, card, artifacts[WEIGHTS].parent)
        names = read_json(artifacts[IDENTIFIERS]) if IDENTIFIERS in artifacts else []
        self._ids = {name: puzzle_id for puzzle_id, name in enumerate(names)}

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer puzzles.

        Args:
            context: not used.
            model_input: a column `puzzle` of texts. ARC: a column `task` may name the task or variant whose puzzle
                embedding to use; the blank one otherwise.
            params: not used.

        Returns:
            For each puzzle `answer` (text), `valid` (by the rules alone; missing where only the true answer can tell),
            `confidence` (0..1) and `steps`.

        Raises:
            ValueError: naming the row, counted from 0, and what is wrong with it.
        """
        puzzle = self._loaded.card.puzzle
        questions = [_parse(puzzle, text, row) for row, text in enumerate(model_input["puzzle"])]
        puzzle_ids = None
        if "task" in model_input:
            puzzle_ids = [self._puzzle_id(task, row) for row, task in enumerate(model_input["task"])]
        solved = solve_puzzles(self._loaded, questions, puzzle_ids)
        return pd.DataFrame(
            {
                "answer": pd.Series([puzzle.format(one.answer) for one in solved], dtype=object),
                "valid": pd.array([one.valid for one in solved], dtype="boolean"),
                "confidence": np.array([one.confidence for one in solved], np.float64),
                "steps": np.array([one.steps for one in solved], np.int64),
            }
        )

    def _puzzle_id(self, task: Any, row: int) -> int:
        if pd.isna(task):
            return 0
        if task not in self._ids:
            raise ValueError(f"row {row}: task {task!r} is not one that the model was trained on")
        return self._ids[task]


def signature(puzzle: PuzzleKind) -> ModelSignature:
    """What a model of a kind of puzzle takes and gives."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "puzzle")]
    if puzzle.has_puzzle_ids:
        inputs.append(ColSpec(DataType.string, "task", required=False))
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "answer"),
        ColSpec(DataType.boolean, "valid", required=False),
        ColSpec(DataType.double, "confidence"),
        ColSpec(DataType.long, "steps"),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _parse(puzzle: PuzzleKind, text: Any, row: int) -> Any:
    if not isinstance(text, str):
        raise ValueError(f"row {row}: expected a puzzle as text, not {text!r}")
    try:
        return puzzle.parse(text)
    except ValueError as error:
        raise ValueError(f"row {row}: {error}") from None
