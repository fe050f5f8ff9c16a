"""Predict the test puzzles and keep, of each answer, only what scores and voting need; of a few, how it came about.

The logits of a segment are gone before the next one: memory does not grow with the number of puzzles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrm.artifacts import written_beside
from hrm.data.batch import IGNORED
from hrm.evaluation.parts import Parts, interleaved
from hrm.evaluation.plan import Plan
from hrm.evaluation.predictions import Predictions, pack, write_about
from hrm.evaluation.trace import write_trace
from hrm.evaluation.tracer import Traced
from hrm.model.hrm import HRM
from hrm.model.stream import answer


@dataclass(frozen=True)
class Piece:
    """What one checkpoint answers to a piece of the plan."""

    predictions: Predictions
    traced: Traced
    """Of the newest checkpoint; of others it is empty."""


def predict_piece(model: HRM, plan: Plan, piece: int, checkpoint: int) -> Piece:
    """A model's answers to a piece.

    Args:
        model: that of the checkpoint.
        plan: of the evaluation.
        piece: its number.
        checkpoint: its number, 0 for the newest.
    """
    copies, (copies_N, starts_N) = plan.copies, plan.rows(piece)
    batch = copies.batch(copies_N)
    questions = plan.questions(model, batch, copies_N, starts_N, trace=checkpoint == 0)
    found = answer(model, questions, batch_size=plan.batch_size, max_steps=plan.max_steps, halt=plan.halt)
    labelled_NL = batch.labels != IGNORED
    predictions = Predictions(
        examples=copies.example_M[copies_N].astype(np.int32),
        copies=copies.copy_M[copies_N].astype(np.int32),
        starts=starts_N.astype(np.int32),
        checkpoints=np.full(len(copies_N), checkpoint, np.int32),
        puzzle_ids=batch.puzzle_ids,
        symmetries=copies.symmetries_MK[copies_N],
        answers=pack(copies.dataset.puzzle.decode(found.tokens_NL)),
        q_halt=found.q_halt_N,
        steps=found.steps_N,
        correct_tokens=((found.tokens_NL == batch.labels) & labelled_NL).sum(axis=1, dtype=np.int32),
        labelled_tokens=labelled_NL.sum(axis=1, dtype=np.int32),
    )
    traced_N = questions.traced_N
    traced = Traced.of(copies.example_M[copies_N][traced_N], batch.labels[traced_N], found)
    return Piece(predictions, traced.few(len(copies.dataset.test)))


def write_artifact(out: Path, plan: Plan, pieces: Iterable[Sequence[Piece]], about: dict[str, Any]) -> None:
    """Put pieces together as an artifact, atomically.

    Args:
        out: the folder to write.
        plan: of the evaluation.
        pieces: in order; of each what every checkpoint answers, the newest first.
        about: what else to write down.
    """
    dataset, traced = plan.copies.dataset, None
    with written_beside(out) as folder:
        folder.mkdir()
        parts = Parts(folder)
        for of_piece in pieces:
            parts.add(interleaved([piece.predictions for piece in of_piece]))
            newest = of_piece[0].traced
            traced = newest if traced is None else traced.plus(newest).few(len(dataset.test))
        parts.finish()
        assert traced is not None, "a plan has at least one piece"
        write_trace(folder, traced.trace(dataset.puzzle))
        write_about(folder, {"dataset_digest": dataset.digest, **about}, len(plan))
