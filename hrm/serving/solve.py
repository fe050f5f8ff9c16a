"""Answering puzzles with a trained model, as the registry's model does.

Shapes: B puzzles of a batch, N puzzles in all, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hrm.model.act import solve
from hrm.puzzles.base import Bytes, Grids
from hrm.training.card import LoadedModel

BATCH_SIZE = 256
"""Puzzles at a time, so that memory does not grow with the number asked."""


@dataclass(frozen=True)
class Solved:
    """The answer to one puzzle."""

    answer: Bytes
    """(height, width) cells."""
    valid: bool | None
    """Whether it solves the puzzle by the rules alone; None where only the true answer can tell (ARC)."""
    confidence: float
    """The model's own estimate of the probability that the answer is right: the sigmoid of q_halt."""
    steps: int
    """Segments run."""


def solve_puzzles(
    loaded: LoadedModel, questions: Sequence[Bytes], puzzle_ids: Sequence[int] | None = None
) -> list[Solved]:
    """Answer puzzles by the evaluation protocol, in batches.

    Args:
        loaded: the model.
        questions: grids, as the puzzle's `parse` gives them.
        puzzle_ids: the puzzle embedding for each; 0, the blank one, when left out.

    Raises:
        ValueError: when a grid does not fit the canvas.
    """
    ids_N = np.zeros(len(questions), np.int32) if puzzle_ids is None else np.asarray(puzzle_ids, np.int32)
    solved = []
    for start in range(0, len(questions), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        solved += _solve_batch(loaded, questions[rows], ids_N[rows])
    return solved


def _solve_batch(
    loaded: LoadedModel, questions: Sequence[Bytes], ids_B: np.ndarray[tuple[int], np.dtype[np.int32]]
) -> list[Solved]:
    puzzle = loaded.card.puzzle
    device = next(loaded.model.parameters()).device
    inputs_BL = torch.from_numpy(puzzle.encode(Grids.of(questions, puzzle.canvas)).astype(np.int32)).to(device)
    solution = solve(loaded.model, inputs_BL, torch.from_numpy(ids_B).to(device))
    answers = puzzle.decode(solution.tokens_BL.cpu().numpy().astype(np.uint8))
    confidence_B = torch.sigmoid(solution.q_halt_B.float()).tolist()
    steps_B = solution.steps_B.tolist()
    return [
        Solved(answer := answers.grid(row), puzzle.is_valid(question, answer), confidence_B[row], steps_B[row])
        for row, question in enumerate(questions)
    ]
