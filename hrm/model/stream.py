"""Answering many questions with a batch of few rows.

A question that is done leaves its row, and the next one that waits takes the row at once.

An answer depends on its own question alone; how many rows there are changes it by rounding at most. The device is
waited for once a segment, and only where the model may halt.

Shapes: N questions, T traced ones, S segments, B batch rows, L tokens, D hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm.model.act import prefers_to_halt, puzzle_vectors
from hrm.model.hrm import HRM

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Questions:
    """What is asked, and where the model begins."""

    inputs_NL: Tensor
    """int32 tokens."""
    puzzle_ids_N: Tensor
    """int32; without meaning for a model that has no puzzle embedding."""
    noise_N2D: Tensor | None
    """float32, what is added to the initial states of H and of L at every position; None for nothing."""
    traced_N: Bools
    """Whose answers after each segment are wanted."""

    def __len__(self) -> int:
        return len(self.inputs_NL)


@dataclass(frozen=True)
class Found:
    """The answers, on the host. A traced question that has halted keeps its last one through the later segments."""

    tokens_NL: NDArray[np.uint8]
    q_halt_N: NDArray[np.float32]
    steps_N: NDArray[np.int32]
    """Segments run."""
    tokens_STL: NDArray[np.uint8]
    q_halt_ST: NDArray[np.float32]
    prefers_ST: Bools
    """Whether the model would halt, as it does in training."""


@torch.no_grad()
def answer(model: HRM, questions: Questions, *, batch_size: int, max_steps: int, halt: bool) -> Found:
    """Answer questions.

    Args:
        model: in evaluation mode.
        questions: at least one, on the model's device.
        batch_size: rows of the batch; some are given up when fewer questions are left.
        max_steps: most segments a question may take, at least one.
        halt: whether a question is done as soon as the model prefers to halt.
    """
    rows, notes = Rows(len(questions), batch_size), _Notes(model, questions, max_steps)
    z_H, z_L = (
        init_D.to(model.dtype).expand(rows.size, model.num_positions, -1) for init_D in (model.H_init, model.L_init)
    )
    while rows.size:
        # A row without a question repeats the last one, for nobody.
        place_B = notes.on_device(np.minimum(rows.place_B, len(questions) - 1))
        new_B = notes.on_device(rows.steps_B == 0)
        z_H, z_L = _begun(model, questions, place_B, new_B, z_H, z_L)
        vectors_BE = puzzle_vectors(model, questions.puzzle_ids_N[place_B])
        segment = model(z_H, z_L, questions.inputs_NL[place_B], vectors_BE)
        prefers_B = prefers_to_halt(model, segment)
        rows.steps_B += 1
        notes.take(rows, segment.logits_BLV.argmax(-1), segment.q_halt_B, prefers_B)
        done_B = rows.steps_B >= max_steps
        if halt:
            done_B = done_B | prefers_B.cpu().numpy()
        z_H, z_L = segment.z_H, segment.z_L
        kept_B = rows.refill(done_B)
        if kept_B is not None:
            z_H, z_L = (z_BSD[notes.on_device(kept_B)] for z_BSD in (z_H, z_L))
    return notes.found()


class Rows:
    """Which question is in which row of the batch: plain numbers on the host."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.place_B: Ints = np.arange(min(count, batch_size))
        """The question of each row; `count` for a row that has none any more."""
        self.steps_B: Ints = np.zeros(len(self.place_B), np.int64)
        """Segments run on it."""
        self._count, self._next = count, len(self.place_B)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.place_B)

    def refill(self, done_B: Bools) -> Ints | None:
        """Give the rows of questions that are done to those that wait, in order.

        Returns:
            None; or, where half of the rows or more have no question any more, the others, which alone stay.
        """
        free = np.flatnonzero(done_B)
        self.place_B[free] = np.minimum(self._next + np.arange(len(free)), self._count)
        self.steps_B[free] = 0
        self._next = min(self._next + len(free), self._count)
        kept_B: Ints = np.flatnonzero(self.place_B < self._count)
        if 2 * len(kept_B) > self.size:
            return None
        self.place_B, self.steps_B = self.place_B[kept_B], self.steps_B[kept_B]
        return kept_B


class _Notes:
    """The latest answer to each question, and each answer to those that are traced, on the device until all are there.

    Every buffer has one entry more than it needs: what rows without a question, or with one that is not traced, give.
    """

    def __init__(self, model: HRM, questions: Questions, max_steps: int) -> None:
        self._device = questions.inputs_NL.device
        self._count, self._traced = len(questions), int(questions.traced_N.sum())
        self._trace_N: Ints = np.full(self._count + 1, self._traced)
        self._trace_N[np.flatnonzero(questions.traced_N)] = np.arange(self._traced)
        self._steps_N: Ints = np.zeros(self._count + 1, np.int64)
        self._tokens_NL, self._q_N, _ = self._buffers(self._count + 1, length=model.seq_len)
        self._history = self._buffers(max_steps, self._traced + 1, length=model.seq_len) if self._traced else None
        self._no_history = (max_steps, model.seq_len)

    def _buffers(self, *shape: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        return (
            torch.zeros(*shape, length, dtype=torch.uint8, device=self._device),
            torch.zeros(shape, dtype=torch.float32, device=self._device),
            torch.zeros(shape, dtype=torch.bool, device=self._device),
        )

    def on_device(self, array: NDArray[np.generic]) -> Tensor:
        """A copy of numbers of the host."""
        return torch.from_numpy(array.copy()).to(self._device)

    def take(self, rows: Rows, tokens_BL: Tensor, q_halt_B: Tensor, prefers_B: Tensor) -> None:
        """Note what a segment gives."""
        self._steps_N[rows.place_B] = rows.steps_B
        place_B, tokens_BL, q_halt_B = self.on_device(rows.place_B), tokens_BL.to(torch.uint8), q_halt_B.float()
        self._tokens_NL[place_B], self._q_N[place_B] = tokens_BL, q_halt_B
        trace_B = self._trace_N[rows.place_B]
        if self._history is not None and (trace_B < self._traced).any():
            where = self.on_device(rows.steps_B - 1), self.on_device(trace_B)
            for buffer, values in zip(self._history, (tokens_BL, q_halt_B, prefers_B), strict=True):
                buffer[where] = values

    def found(self) -> Found:
        """Everything, when all questions are done."""
        traced, (most, length) = self._traced, self._no_history
        history = self._history or self._buffers(most, 1, length=length)
        tokens_STL, q_ST, prefers_ST = (buffer[:, :traced].cpu().numpy() for buffer in history)
        last_T = self._steps_N[np.flatnonzero(self._trace_N[:-1] < traced)] - 1
        until_ST = np.minimum(np.arange(most)[:, None], last_T)
        columns = np.arange(traced)
        return Found(
            tokens_NL=self._tokens_NL[:-1].cpu().numpy(),
            q_halt_N=self._q_N[:-1].cpu().numpy(),
            steps_N=self._steps_N[:-1].astype(np.int32),
            tokens_STL=tokens_STL[until_ST, columns],
            q_halt_ST=q_ST[until_ST, columns],
            prefers_ST=prefers_ST[until_ST, columns],
        )


def _begun(
    model: HRM, questions: Questions, place_B: Tensor, new_B: Tensor, z_H: Tensor, z_L: Tensor
) -> tuple[Tensor, Tensor]:
    """The states, with those of new questions set to where they begin."""
    begun = []
    for module, (init_D, z_BSD) in enumerate(((model.H_init, z_H), (model.L_init, z_L))):
        start = init_D if questions.noise_N2D is None else (init_D + questions.noise_N2D[place_B, module])[:, None]
        begun.append(torch.where(new_B[:, None, None], start.to(model.dtype), z_BSD))
    return begun[0], begun[1]
