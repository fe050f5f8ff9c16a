"""Predict the test puzzles and keep, of each answer, only what scores and voting need; of a few, how it came about.

The logits of a batch are gone before the next batch comes: memory does not grow with the number of puzzles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hrm.artifacts import written_beside
from hrm.data.batch import IGNORED
from hrm.data.copies import Copies
from hrm.evaluation.predictions import COLUMNS, PART, PackedGrids, Predictions, pack, write_about, write_part
from hrm.evaluation.trace import write_trace
from hrm.evaluation.tracer import Tracer
from hrm.model.act import solve
from hrm.model.hrm import HRM
from hrm.progress import progress


def predict(model: HRM, copies: Copies, out: Path, *, batch_size: int, about: dict[str, Any]) -> None:
    """Write the model's predictions on all copies as an artifact, atomically.

    Args:
        model: in evaluation mode, on the device that shall do the work.
        copies: what to predict; at least one.
        out: the folder to write.
        batch_size: copies at a time; does not change any result beyond rounding.
        about: what else to write down, such as the checkpoint's step and the settings.
    """
    spans = list(_spans(len(copies), batch_size))
    with written_beside(out) as folder:
        folder.mkdir()
        pending: list[Predictions] = []
        tracer = Tracer(copies)
        for rows in progress(spans, desc="evaluate", unit="batch"):
            pending.append(_predict_batch(model, copies, rows, tracer))
            if rows.stop % PART == 0 or rows.stop == len(copies):
                write_part(folder, rows.start // PART, _joined(pending))
                pending = []
        write_trace(folder, tracer.trace())
        write_about(folder, {"dataset_digest": copies.dataset.digest, **about}, len(copies))


def _spans(count: int, batch_size: int) -> Iterator[slice]:
    """The rows of each batch; a batch never reaches over the end of a part."""
    for part in range(0, count, PART):
        end = min(part + PART, count)
        for start in range(part, end, batch_size):
            yield slice(start, min(start + batch_size, end))


def _predict_batch(model: HRM, copies: Copies, rows: slice, tracer: Tracer) -> Predictions:
    batch = copies.batch(rows)
    device = next(model.parameters()).device
    inputs_BL, ids_B = (torch.from_numpy(array).to(device) for array in (batch.inputs, batch.puzzle_ids))
    solution = solve(model, inputs_BL, ids_B, on_segment=tracer.segment)
    tracer.finish(rows, batch)
    tokens_BL = solution.tokens_BL.cpu().numpy()
    labelled_BL = batch.labels != IGNORED
    return Predictions(
        examples=copies.example_M[rows].astype(np.int32),
        copies=copies.copy_M[rows].astype(np.int32),
        puzzle_ids=batch.puzzle_ids,
        symmetries=copies.symmetries_MK[rows],
        answers=pack(copies.dataset.puzzle.decode(tokens_BL.astype(np.uint8))),
        q_halt=solution.q_halt_B.float().cpu().numpy(),
        steps=solution.steps_B.to(torch.int32).cpu().numpy(),
        correct_tokens=((tokens_BL == batch.labels) & labelled_BL).sum(axis=1, dtype=np.int32),
        labelled_tokens=labelled_BL.sum(axis=1, dtype=np.int32),
    )


def _joined(pieces: list[Predictions]) -> Predictions:
    """Consecutive predictions as one."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in COLUMNS}
    answers = PackedGrids(
        np.concatenate([piece.answers.cells for piece in pieces]),
        np.concatenate([piece.answers.shapes for piece in pieces]),
        pieces[0].answers.canvas,
    )
    return Predictions(**columns, answers=answers)
