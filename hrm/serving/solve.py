"""Answering puzzles with a trained model, as the registry's model does.

Shapes: B copies of a batch, M copies of some puzzles, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from hrm.config.vote import Rule
from hrm.data.batch import symmetric
from hrm.evaluation.predictions import pack
from hrm.evaluation.vote import vote
from hrm.model.act import Solution, solve
from hrm.puzzles.base import Bytes, Grids, PuzzleKind
from hrm.serving.voters import Voters, alone
from hrm.training.card import LoadedModel

BATCH_SIZE = 256
"""Copies at a time, so that memory does not grow with the number asked."""
MAX_VOTES = 1000
"""Copies of a puzzle that may vote: as many as the published evaluation of ARC has."""
MAX_STEPS = 256
"""Segments that may be run; models are trained with 16 or fewer."""


@dataclass(frozen=True)
class Solved:
    """The answer to one puzzle."""

    answer: Bytes
    """(height, width) cells."""
    valid: bool | None
    """Whether it solves the puzzle by the rules alone; None where only the true answer can tell (ARC)."""
    confidence: float
    """The model's own estimate of the probability that the answer is right: the mean over those who voted for it."""
    steps: int
    """Segments run."""


def solve_puzzles(
    loaded: LoadedModel,
    questions: Sequence[Bytes],
    voters: Sequence[Voters] | None = None,
    *,
    steps: int | None = None,
    rule: Rule = "votes",
) -> list[Solved]:
    """Answer puzzles by the evaluation protocol, in batches; the copies of each vote as in `hrm vote`.

    Args:
        loaded: the model.
        questions: grids, as the puzzle's `parse` gives them.
        voters: the copies of each; the puzzle itself alone when left out.
        steps: segments to run, those of the training when left out.
        rule: what ranks the answers of the copies, one of `rules_of` the puzzle; the published one when left out.

    Raises:
        ValueError: when a grid does not fit the canvas.
    """
    voters = [alone(loaded.card.puzzle)] * len(questions) if voters is None else voters
    solved = []
    for rows in _spans(voters):
        solved += _solve_some(loaded, questions[rows], voters[rows], steps, rule)
    return solved


def rules_of(puzzle: PuzzleKind) -> list[Rule]:
    """The voting rules that a kind of puzzle knows: `valid` only where rules tell what an answer is worth."""
    blank = np.zeros(puzzle.canvas, np.uint8)
    judged = puzzle.is_valid(blank, blank) is not None
    return [rule for rule in get_args(Rule) if rule != "valid" or judged]


def trace_puzzle(loaded: LoadedModel, question: Bytes, voter: Voters, *, steps: int | None = None) -> list[Solved]:
    """The answer to one puzzle after each segment, the last one being that of `solve_puzzles`; nobody else votes."""
    segments: list[Solution] = []
    puzzle, model = loaded.card.puzzle, loaded.model
    tokens_BL = puzzle.encode(Grids.of([question], puzzle.canvas))
    solve(model, *_inputs(loaded, tokens_BL, voter.puzzle_ids_C[:1]), steps=steps, on_segment=segments.append)
    solved = []
    for segment in segments:
        answer = puzzle.decode(segment.tokens_BL.cpu().numpy().astype(np.uint8)).grid(0)
        confidence = float(torch.sigmoid(segment.q_halt_B.double()))
        solved.append(Solved(answer, puzzle.is_valid(question, answer), confidence, int(segment.steps_B)))
    return solved


def _spans(voters: Sequence[Voters]) -> Iterator[slice]:
    """Rows of whole puzzles with about a batch of copies together."""
    start = copies = 0
    for row, voter in enumerate(voters):
        if copies and copies + len(voter) > BATCH_SIZE:
            yield slice(start, row)
            start, copies = row, 0
        copies += len(voter)
    if copies:
        yield slice(start, len(voters))


def _solve_some(
    loaded: LoadedModel, questions: Sequence[Bytes], voters: Sequence[Voters], steps: int | None, rule: Rule
) -> list[Solved]:
    puzzle = loaded.card.puzzle
    grids = Grids.of(questions, puzzle.canvas)
    owner_M = np.repeat(np.arange(len(questions)), [len(voter) for voter in voters])
    symmetries_MK = np.concatenate([voter.symmetries_CK for voter in voters])
    ids_M = np.concatenate([voter.puzzle_ids_C for voter in voters])
    tokens_ML = puzzle.encode(symmetric(puzzle, grids.take(owner_M), symmetries_MK))
    answered = _answers(loaded, tokens_ML, ids_M, steps)
    # There is no true answer here whose rank could be asked for: the questions stand in for it.
    packed = pack(puzzle.decode(answered.tokens_ML))
    owners, q_halt_M = owner_M.astype(np.int32), answered.q_halt_M
    ranking = vote(puzzle, grids, packed, owners, symmetries_MK, q_halt_M, keep=1, rule=rule, questions=grids)
    return [
        Solved(
            answer := ranking.answers.grid(row),
            puzzle.is_valid(question, answer),
            float(ranking.confidences[row]),
            answered.steps,
        )
        for row, question in enumerate(questions)
    ]


class _Answers(NamedTuple):
    tokens_ML: Bytes
    q_halt_M: NDArray[np.float32]
    steps: int


def _answers(loaded: LoadedModel, tokens_ML: Bytes, ids_M: NDArray[np.int32], steps: int | None) -> _Answers:
    """What the model says to each copy, a batch at a time."""
    tokens, q_halt = [], []
    for start in range(0, len(tokens_ML), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        solution = solve(loaded.model, *_inputs(loaded, tokens_ML[rows], ids_M[rows]), steps=steps)
        tokens.append(solution.tokens_BL.cpu().numpy().astype(np.uint8))
        q_halt.append(solution.q_halt_B.float().cpu().numpy())
    return _Answers(np.concatenate(tokens), np.concatenate(q_halt), int(solution.steps_B[0]))


def _inputs(loaded: LoadedModel, tokens_BL: Bytes, ids_B: NDArray[np.int32]) -> tuple[torch.Tensor, torch.Tensor]:
    device = next(loaded.model.parameters()).device
    return torch.from_numpy(tokens_BL.astype(np.int32)).to(device), torch.from_numpy(ids_B).to(device)
