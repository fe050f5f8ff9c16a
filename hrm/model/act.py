"""Adaptive computation: how segments follow one another in training, in evaluation, and when solving (paper section 2).

A batch row runs segment after segment until it halts; the next offered example then takes its place. The carry is all
that a row brings along.

Shapes: B batch rows, L tokens, S positions, D hidden width, E width of a puzzle vector, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hrm.model.hrm import HRM, Segment

# Keeps the draws of exploration apart from others that are seeded by (seed, step).
_EXPLORATION = 0xAC7


@dataclass(frozen=True)
class Carry:
    """The rows of a batch between two segments: plain tensors, all that a checkpoint needs to go on."""

    z_H: Tensor
    """(B, S, D) state of H, in the type of the activations."""
    z_L: Tensor
    """(B, S, D) state of L."""
    steps: Tensor
    """(B,) int32 segments run on the present example."""
    halted: Tensor
    """(B,) bool; a halted row is replaced before the next segment."""
    inputs: Tensor
    """(B, L) int32 tokens of the question."""
    labels: Tensor
    """(B, L) int32 tokens of the answer, -100 where ignored."""
    puzzle_ids: Tensor
    """(B,) int32."""


@dataclass(frozen=True)
class Outputs:
    """What one step gives besides the new carry; losses and metrics are made of it."""

    logits_BLV: Tensor
    q_halt_B: Tensor
    q_continue_B: Tensor
    target_q_continue_B: Tensor | None
    """What q_continue should have been; None in evaluation, where a row may take one segment only, and for a
    model that does not learn it."""
    puzzle_vectors_BE: Tensor | None
    """The rows of the puzzle embedding as a leaf: after the backward pass `.grad` is theirs. None without one."""


@dataclass(frozen=True)
class Solution:
    """The model's answers after a number of segments."""

    tokens_BL: Tensor
    """int64, the most probable token at each position."""
    q_halt_B: Tensor
    """float32; the sigmoid estimates the probability that the answer is right."""
    q_continue_B: Tensor
    """float32."""
    prefers_B: Tensor
    """bool; whether the model would halt here, as it does in training."""
    steps_B: Tensor
    """int32, segments run."""


def initial_carry(model: HRM, batch_size: int, device: torch.device | str | None = None) -> Carry:
    """A carry of rows that have all halted: the first step fills every one."""
    state_shape = (batch_size, model.num_positions, model.hidden)
    tokens_shape = (batch_size, model.seq_len)
    return Carry(
        z_H=torch.zeros(state_shape, dtype=model.dtype, device=device),
        z_L=torch.zeros(state_shape, dtype=model.dtype, device=device),
        steps=torch.zeros(batch_size, dtype=torch.int32, device=device),
        halted=torch.ones(batch_size, dtype=torch.bool, device=device),
        inputs=torch.zeros(tokens_shape, dtype=torch.int32, device=device),
        labels=torch.zeros(tokens_shape, dtype=torch.int32, device=device),
        puzzle_ids=torch.zeros(batch_size, dtype=torch.int32, device=device),
    )


def refill(model: HRM, carry: Carry, inputs_BL: Tensor, labels_BL: Tensor, puzzle_ids_B: Tensor) -> Carry:
    """Halted rows take what the batch offers them and start anew; the others go on, and their offer is dropped."""
    halted_B = carry.halted
    halted_B1, halted_B11 = halted_B[:, None], halted_B[:, None, None]
    return Carry(
        z_H=torch.where(halted_B11, model.H_init.to(carry.z_H.dtype), carry.z_H),
        z_L=torch.where(halted_B11, model.L_init.to(carry.z_L.dtype), carry.z_L),
        steps=torch.where(halted_B, 0, carry.steps),
        halted=torch.zeros_like(halted_B),
        inputs=torch.where(halted_B1, inputs_BL, carry.inputs),
        labels=torch.where(halted_B1, labels_BL, carry.labels),
        puzzle_ids=torch.where(halted_B, puzzle_ids_B, carry.puzzle_ids),
    )


def train_step(
    model: HRM, carry: Carry, inputs_BL: Tensor, labels_BL: Tensor, puzzle_ids_B: Tensor, *, min_steps_B: Tensor
) -> tuple[Carry, Outputs]:
    """One training segment of every row: refill, run, decide who halts, and look one segment ahead.

    Args:
        model: the network, on the device of all tensors.
        carry: what the previous step returned.
        inputs_BL: int32, the offered batch.
        labels_BL: int32.
        puzzle_ids_B: int32.
        min_steps_B: integers; a row may not halt before so many segments (0 and 1 do not constrain it).
            See `exploration_min_steps`.

    Returns:
        The new carry, and outputs whose backward pass is still to come.
    """
    carry = refill(model, carry, inputs_BL, labels_BL, puzzle_ids_B)
    vectors_BE = puzzle_vectors(model, carry.puzzle_ids)
    if vectors_BE is not None:
        vectors_BE.requires_grad_()
    return train_segment(model, carry, vectors_BE, min_steps_B)


def train_segment(model: HRM, carry: Carry, vectors_BE: Tensor | None, min_steps_B: Tensor) -> tuple[Carry, Outputs]:
    """The part of `train_step` after the refill: one graph for torch.compile, together with `step_loss`.

    Args:
        model: the network.
        carry: with all rows filled.
        vectors_BE: puzzle vectors of the carry's ids, a leaf that requires a gradient; None for a model without.
        min_steps_B: as in `train_step`.
    """
    segment = model(carry.z_H, carry.z_L, carry.inputs, vectors_BE)
    with torch.no_grad():
        steps_B = carry.steps + 1
        last_B = steps_B >= model.halt_max_steps
        halted_B = (last_B | prefers_to_halt(model, segment)) & (steps_B >= min_steps_B)
        target_B = None
        if model.learns_continue and model.halt_max_steps > 1:
            target_B = _q_continue_target(model, carry, segment, vectors_BE, last_B)
    outputs = Outputs(segment.logits_BLV, segment.q_halt_B, segment.q_continue_B, target_B, vectors_BE)
    return _advanced(carry, segment, steps_B, halted_B), outputs


@torch.no_grad()
def eval_step(
    model: HRM, carry: Carry, inputs_BL: Tensor, labels_BL: Tensor, puzzle_ids_B: Tensor
) -> tuple[Carry, Outputs]:
    """One segment of every row by the evaluation protocol: rows halt at `halt_max_steps` and never before.

    Arguments and results as in `train_step`, without gradients and without a target of q_continue.
    """
    carry = refill(model, carry, inputs_BL, labels_BL, puzzle_ids_B)
    segment = model(carry.z_H, carry.z_L, carry.inputs, puzzle_vectors(model, carry.puzzle_ids))
    steps_B = carry.steps + 1
    outputs = Outputs(segment.logits_BLV, segment.q_halt_B, segment.q_continue_B, None, None)
    return _advanced(carry, segment, steps_B, steps_B >= model.halt_max_steps), outputs


@torch.no_grad()
def solve(
    model: HRM,
    inputs_BL: Tensor,
    puzzle_ids_B: Tensor,
    *,
    steps: int | None = None,
    on_segment: Callable[[Solution], None] | None = None,
) -> Solution:
    """Answer questions by the evaluation protocol: every row runs the same number of segments.

    Args:
        model: the network, on the device of the tensors.
        inputs_BL: integer tokens of the questions.
        puzzle_ids_B: integer puzzle ids; without meaning for a model that has no puzzle embedding.
        steps: segments to run, `halt_max_steps` when left out; more than in training are allowed.
        on_segment: called with the solution so far after each segment.

    Raises:
        ValueError: when `steps` is not positive.
    """
    steps = model.halt_max_steps if steps is None else steps
    if steps < 1:
        raise ValueError(f"steps = {steps}: a solution takes at least one segment")
    state_shape = (len(inputs_BL), model.num_positions, model.hidden)
    z_H = model.H_init.to(model.dtype).expand(state_shape)
    z_L = model.L_init.to(model.dtype).expand(state_shape)
    vectors_BE = puzzle_vectors(model, puzzle_ids_B)
    for step in range(1, steps + 1):
        segment = model(z_H, z_L, inputs_BL, vectors_BE)
        z_H, z_L = segment.z_H, segment.z_L
        if on_segment is not None and step < steps:
            on_segment(_solution(model, segment, step))
    solution = _solution(model, segment, steps)
    if on_segment is not None:
        on_segment(solution)
    return solution


def exploration_min_steps(seed: int, step: int, *, batch_size: int, probability: float, halt_max_steps: int) -> Tensor:
    """Minimum segments of each row of the *global* batch at one step: (batch_size,) int32 on the CPU.

    With the given probability a uniform draw of 2..halt_max_steps, else 0 (paper section 2, ACT).
    A pure function of its arguments: each process draws all rows and takes its own, so the run does not depend on how
    many processes there are, and can resume anywhere.
    """
    if halt_max_steps < 2 or probability == 0:
        return torch.zeros(batch_size, dtype=torch.int32)
    rng = np.random.default_rng((seed, step, _EXPLORATION))
    explores_B = rng.random(batch_size) < probability
    minimum_B = rng.integers(2, halt_max_steps, size=batch_size, endpoint=True)
    return torch.from_numpy(np.where(explores_B, minimum_B, 0).astype(np.int32))


def _q_continue_target(model: HRM, carry: Carry, segment: Segment, vectors_BE: Tensor | None, last_B: Tensor) -> Tensor:
    """(B,) the value of going on: that of the better action one segment later (Q-learning, paper section 2)."""
    q_halt_B, q_continue_B = model.q_values(segment.z_H, segment.z_L, carry.inputs, vectors_BE)
    # After the last allowed segment there is nothing left but to halt.
    return torch.sigmoid(torch.where(last_B, q_halt_B, torch.maximum(q_halt_B, q_continue_B)))


def _advanced(carry: Carry, segment: Segment, steps_B: Tensor, halted_B: Tensor) -> Carry:
    return Carry(segment.z_H, segment.z_L, steps_B, halted_B, carry.inputs, carry.labels, carry.puzzle_ids)


def puzzle_vectors(model: HRM, puzzle_ids_B: Tensor) -> Tensor | None:
    """(B, E) rows of the puzzle embedding; None for a model without one."""
    if model.puzzle_embedding is None:
        return None
    vectors_BE: Tensor = model.puzzle_embedding(puzzle_ids_B)
    return vectors_BE


def prefers_to_halt(model: HRM, segment: Segment) -> Tensor:
    """(B,) bool; whether the model would halt here, as it does in training."""
    # A value of 0 is a probability of one half: more likely right than wrong.
    prefers_B: Tensor = segment.q_halt_B > (segment.q_continue_B if model.learns_continue else 0)
    return prefers_B


def _solution(model: HRM, segment: Segment, step: int) -> Solution:
    prefers_B = prefers_to_halt(model, segment)
    steps_B = torch.full_like(segment.q_halt_B, step, dtype=torch.int32)
    return Solution(segment.logits_BLV.argmax(-1), segment.q_halt_B, segment.q_continue_B, prefers_B, steps_B)
