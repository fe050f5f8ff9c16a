"""What an evaluation asks, in pieces that are each done as a whole: by any process, now or after an interruption.

The pieces, and the batches inside of each, do not depend on how many processes there are, so neither do the answers.

Shapes: N rows of a piece, D hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hrm.data.batch import Batch
from hrm.data.copies import Copies
from hrm.model.hrm import HRM
from hrm.model.stream import Questions
from hrm.puzzles.base import Ints

# Keeps the draws of noise apart from others that are seeded alike.
_NOISE = 0x5EED
_PIECES, _BATCHES = 4, 4
"""Pieces that processes can share, and batches in one of them that rows can be refilled from."""


@dataclass(frozen=True)
class Plan:
    """Every start on every copy, by each checkpoint."""

    copies: Copies
    batch_size: int
    """Rows that one process has at a time."""
    max_steps: int
    """Most segments of a puzzle."""
    halt: bool = False
    """Whether a puzzle is done as soon as the model prefers to halt."""
    starts: int = 1
    noise: float = 0.0
    checkpoints: int = 1
    seed: int = 0

    def __len__(self) -> int:
        return self.num_rows * self.checkpoints

    @property
    def num_rows(self) -> int:
        """What each checkpoint is asked: starts on copies, ordered by example, copy, start."""
        return len(self.copies) * self.starts

    @property
    def piece_size(self) -> int:
        """Rows of a piece: few enough that several processes have some each, and a batch or more."""
        return min(max(-(-self.num_rows // _PIECES), self.batch_size), _BATCHES * self.batch_size)

    @property
    def num_pieces(self) -> int:
        """How many there are for each checkpoint."""
        return -(-self.num_rows // self.piece_size)

    def rows(self, piece: int) -> tuple[Ints, Ints]:
        """For each row of a piece the place of its copy, and its start."""
        first = piece * self.piece_size
        rows_N = np.arange(first, min(first + self.piece_size, self.num_rows))
        return rows_N // self.starts, rows_N % self.starts

    def original(self, copies_N: Ints, starts_N: Ints) -> NDArray[np.bool_]:
        """(N,) which rows are a puzzle itself, from the model's own start."""
        original_N: NDArray[np.bool_] = (self.copies.copy_M[copies_N] == 0) & (starts_N == 0)
        return original_N

    def questions(self, model: HRM, batch: Batch, copies_N: Ints, starts_N: Ints, *, trace: bool) -> Questions:
        """Rows as the model is asked, on its device.

        Args:
            model: that will answer.
            batch: the rows as tokens.
            copies_N: of each row.
            starts_N: of each row.
            trace: whether the answers to the originals are traced.
        """
        device = next(model.parameters()).device
        traced_N = self.original(copies_N, starts_N) & trace
        noise = self._noise(model, copies_N, starts_N) if self.starts > 1 else None
        return Questions(
            inputs_NL=torch.from_numpy(batch.inputs).to(device),
            puzzle_ids_N=torch.from_numpy(batch.puzzle_ids).to(device),
            noise_N2D=None if noise is None else torch.from_numpy(noise).to(device),
            traced_N=traced_N,
        )

    def _noise(self, model: HRM, copies_N: Ints, starts_N: Ints) -> NDArray[np.float32]:
        """A pure function of (seed, example, copy, start): whoever works on a row, and on which others."""
        scale_21 = np.array([[float(init_D.std())] for init_D in (model.H_init, model.L_init)], np.float32)
        noise_N2D = np.zeros((len(copies_N), 2, model.hidden), np.float32)
        for row in np.flatnonzero(starts_N):
            place = copies_N[row]
            key = (self.seed, _NOISE, self.copies.example_M[place], self.copies.copy_M[place], starts_N[row])
            rng = np.random.default_rng([int(part) for part in key])
            noise_N2D[row] = self.noise * scale_21 * rng.standard_normal((2, model.hidden), np.float32)
        return noise_N2D
