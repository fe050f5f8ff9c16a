"""The registry's model: puzzles in, answers as a table out."""

from __future__ import annotations

import reprlib
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from hrm.artifacts import read_json
from hrm.config.vote import Rule
from hrm.serving.questions import question_of
from hrm.serving.scoring import refuse_what_cannot_be_read
from hrm.serving.solve import MAX_STEPS, MAX_VOTES, rules_of, solve_puzzles
from hrm.serving.voters import Electorate
from hrm.training.card import LoadedModel, ModelCard, model_of, read_card

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
        self._electorate = Electorate(card.puzzle, names)
        refuse_what_cannot_be_read()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer puzzles, in batches of bounded memory.

        Args:
            context: not used.
            model_input: a column `puzzle` of texts or of grids (rows of cell values). ARC: a column `task` may name the
                task or variant whose puzzle embedding to use; the blank one otherwise.
            params: `votes`, how many symmetric copies of a puzzle vote on its answer (1 to 1000; 1: none but itself),
                `rule`, what ranks their answers (`votes`, as published, when left out; see `hrm.evaluation.vote`), and
                `steps`, the segments to run (1 to 256; as many as in training, when left out).

        Returns:
            For each puzzle `answer` (text), `valid` (by the rules alone; missing where only the true answer can tell),
            `confidence` (0..1) and `steps`.

        Raises:
            MlflowException: INVALID_PARAMETER_VALUE, which a server answers with HTTP 400, naming the parameter, or the
                row, counted from 0, and what is wrong with it.
        """
        puzzle, trained = self._loaded.card.puzzle, default_steps(self._loaded.card)
        settings = {"votes": 1, "rule": "votes", "steps": trained} | (params or {})
        votes = _checked("votes", settings["votes"], MAX_VOTES)
        steps = _checked("steps", settings["steps"], max(MAX_STEPS, trained))
        rule = _one_of("rule", settings["rule"], rules_of(puzzle))
        voters_of = cache(partial(self._electorate.voters, votes))
        tasks = model_input["task"] if "task" in model_input else [None] * len(model_input)
        questions, voters = [], []
        for row, (given, task) in enumerate(zip(model_input["puzzle"], tasks, strict=True)):
            try:
                questions.append(question_of(puzzle, given))
                voters.append(voters_of(_named(task)))
            except ValueError as error:
                raise MlflowException.invalid_parameter_value(f"row {row}: {error}") from None
        solved = solve_puzzles(self._loaded, questions, voters, steps=steps, rule=rule)
        return pd.DataFrame(
            {
                "answer": pd.Series([puzzle.format(one.answer) for one in solved], dtype=object),
                # None, which JSON has a word for, where it is not known.
                "valid": pd.Series([one.valid for one in solved], dtype=object),
                "confidence": np.array([one.confidence for one in solved], np.float64),
                "steps": np.array([one.steps for one in solved], np.int64),
            }
        )


def signature(card: ModelCard) -> ModelSignature:
    """What a model takes and gives."""
    # Grids come in this column as well: MLflow hands them on as they are, and has no type for "one or the other".
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "puzzle")]
    if card.puzzle.has_puzzle_ids:
        inputs.append(ColSpec(DataType.string, "task", required=False))
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "answer"),
        ColSpec(DataType.boolean, "valid", required=False),
        ColSpec(DataType.double, "confidence"),
        ColSpec(DataType.long, "steps"),
    ]
    params = [
        ParamSpec("votes", DataType.long, 1),
        ParamSpec("rule", DataType.string, "votes"),
        ParamSpec("steps", DataType.long, default_steps(card)),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(params))


def default_steps(card: ModelCard) -> int:
    """The segments that a model runs unless told otherwise: as many as in training."""
    return card.train.halting.max_steps


def _checked(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise MlflowException.invalid_parameter_value(
            f"params.{name} = {reprlib.repr(value)}: expected a whole number from 1 to {most}"
        )
    return value


def _one_of(name: str, value: Any, known: list[Rule]) -> Rule:
    if value not in known:
        raise MlflowException.invalid_parameter_value(
            f"params.{name} = {reprlib.repr(value)}: expected one of {', '.join(known)}"
        )
    return cast("Rule", value)


def _named(task: Any) -> str | None:
    """The task of a row; pandas marks a missing one in several ways."""
    if task is None or task is pd.NA or (isinstance(task, float) and np.isnan(task)):
        return None
    if not isinstance(task, str):
        raise ValueError(f"expected the name of a task, not {reprlib.repr(task)}")
    return task
