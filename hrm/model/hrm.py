"""The Hierarchical Reasoning Model (arXiv 2506.21734): two recurrent modules and one segment of their interplay.

Shapes: B batch rows, L tokens of a puzzle, P prefix positions of the puzzle vector, S = P + L positions, D hidden
width, E width of a puzzle vector, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.model.attention import Backend
from hrm.model.layers import Block, Embedding, Linear, QHead, RotaryTables, truncated_normal
from hrm.model.puzzle_embedding import PuzzleEmbedding


class Segment(NamedTuple):
    """What one segment gives."""

    z_H: Tensor
    """(B, S, D) new state of the slow module, detached."""
    z_L: Tensor
    """(B, S, D) new state of the fast module, detached."""
    logits_BLV: Tensor
    """Scores of the answer's tokens."""
    q_halt_B: Tensor
    """Q-value of halting now, float32; its sigmoid estimates the probability that the answer is right."""
    q_continue_B: Tensor
    """Q-value of going on, float32."""


class RecurrentModule(nn.Module):
    """H or L: adds what is injected to its state, then runs its blocks (paper section 2)."""

    def __init__(self, *, layers: int, hidden: int, heads: int, expansion: float, backend: Backend) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(hidden=hidden, heads=heads, expansion=expansion, backend=backend) for _ in range(layers)
        )

    def forward(
        self, z_BSD: Tensor, injection_BSD: Tensor, rotary: RotaryTables | None, first: int | None = None
    ) -> Tensor:
        """(B, S, D), the new state; or (B, first, D), that of the first positions alone for a little less work."""
        z_BSD = z_BSD + injection_BSD
        for number, block in enumerate(self.blocks, start=1):
            # Until the last block every position needs all others.
            z_BSD = block(z_BSD, rotary, first if number == len(self.blocks) else None)
        return z_BSD[:, :first]


class HRM(nn.Module):
    """The network. Calling it runs one segment; `hrm.model.act` strings segments together.

    Args:
        vocab_size: V.
        seq_len: L.
        num_puzzle_ids: rows of the puzzle embedding.
        hidden: D, divisible by `heads`.
        heads: attention heads.
        H_layers: blocks of the slow module.
        L_layers: blocks of the fast module.
        H_cycles: updates of H in a segment (N in the paper).
        L_cycles: updates of L for each update of H (T in the paper).
        expansion: inner width of the SwiGLU relative to D, before its factor 2/3.
        positions: "rope" or "learned".
        puzzle_embedding_width: E, 0 for no puzzle embedding.
        halt_max_steps: most segments a puzzle may take.
        halt_exploration: probability that a row must take a random minimum of segments in training.
        gradient_cycles: last updates of H that are differentiated in full, with their updates of L; 0 for the paper's
            one-step gradient: of the last update of L and of H alone.
        learns_continue: whether the Q-value of going on is learned. It takes one more segment a training step; without
            it a row halts when the Q-value of halting is above 0.
        attention: the kernel, see `hrm.model.attention.choose`.
        dtype: of the activations, float32 or bfloat16; may be set later. Parameters and Q-values stay float32.
    """

    H_init: Tensor
    L_init: Tensor

    def __init__(
        self,
        *,
        vocab_size: int,
        seq_len: int,
        num_puzzle_ids: int,
        hidden: int,
        heads: int,
        H_layers: int,
        L_layers: int,
        H_cycles: int,
        L_cycles: int,
        expansion: float,
        positions: Literal["rope", "learned"],
        puzzle_embedding_width: int,
        halt_max_steps: int,
        halt_exploration: float,
        gradient_cycles: int = 0,
        learns_continue: bool = True,
        attention: Backend = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.seq_len, self.vocab_size, self.hidden = seq_len, vocab_size, hidden
        self.halt_max_steps, self.halt_exploration = halt_max_steps, halt_exploration
        self.learns_continue = learns_continue
        self.dtype = dtype
        self.updates = ("L" * L_cycles + "H") * H_cycles
        self.differentiated = gradient_cycles * (L_cycles + 1) or 2
        self.prefix_len = math.ceil(puzzle_embedding_width / hidden)
        self.num_positions = self.prefix_len + seq_len

        self.token_embedding = Embedding(rows=vocab_size, width=hidden)
        self.puzzle_embedding = (
            PuzzleEmbedding(num_ids=num_puzzle_ids, width=puzzle_embedding_width) if puzzle_embedding_width else None
        )
        learned = positions == "learned"
        self.position_embedding = Embedding(rows=self.num_positions, width=hidden) if learned else None
        self.rotary = None if learned else RotaryTables(positions=self.num_positions, head_width=hidden // heads)

        self.H = RecurrentModule(layers=H_layers, hidden=hidden, heads=heads, expansion=expansion, backend=attention)
        self.L = RecurrentModule(layers=L_layers, hidden=hidden, heads=heads, expansion=expansion, backend=attention)
        # Where every run starts; drawn once and never trained.
        self.register_buffer("H_init", truncated_normal(hidden, std=1))
        self.register_buffer("L_init", truncated_normal(hidden, std=1))

        self.output_head = Linear(inputs=hidden, outputs=vocab_size)
        self.q_head = QHead(hidden=hidden)

    def forward(self, z_H: Tensor, z_L: Tensor, inputs_BL: Tensor, puzzle_vectors_BE: Tensor | None) -> Segment:
        """One segment.

        Only the last update of L and of H are differentiated, unless `gradient_cycles` says more: memory does not grow
        with the other cycles (one-step gradient, paper section 2).

        Args:
            z_H: (B, S, D) state of H.
            z_L: (B, S, D) state of L.
            inputs_BL: integer tokens of the question.
            puzzle_vectors_BE: rows of the puzzle embedding; None for a model without one.
        """
        x_BSD = self.embed(inputs_BL, puzzle_vectors_BE)
        with torch.no_grad():
            z_H, z_L = self._update(self.updates[: -self.differentiated], z_H, z_L, x_BSD)
        z_H, z_L = self._update(self.updates[-self.differentiated :], z_H, z_L, x_BSD)

        q_halt_B, q_continue_B = self.q_head(z_H[:, 0])
        return Segment(
            z_H=z_H.detach(),
            z_L=z_L.detach(),
            logits_BLV=self.output_head(z_H[:, self.prefix_len :]),
            q_halt_B=q_halt_B,
            q_continue_B=q_continue_B,
        )

    @torch.no_grad()
    def q_values(
        self, z_H: Tensor, z_L: Tensor, inputs_BL: Tensor, puzzle_vectors_BE: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The Q-values of a segment (halt, continue), without its gradients and what they do not depend on.

        Arguments as for a segment; two tensors (B,) of float32.
        """
        z_H, z_L = self._update(self.updates[:-1], z_H, z_L, self.embed(inputs_BL, puzzle_vectors_BE))
        q_values: tuple[Tensor, Tensor] = self.q_head(self.H(z_H, z_L, self.rotary, first=1)[:, 0])
        return q_values

    def embed(self, inputs_BL: Tensor, puzzle_vectors_BE: Tensor | None) -> Tensor:
        """(B, S, D), the input x: the puzzle vector cut into P positions, then the tokens, with their positions."""
        x_BSD: Tensor = self.token_embedding(inputs_BL, self.dtype)
        if puzzle_vectors_BE is not None:
            fill = self.prefix_len * self.hidden - puzzle_vectors_BE.shape[-1]
            prefix_BPD = F.pad(puzzle_vectors_BE.to(self.dtype), (0, fill)).view(-1, self.prefix_len, self.hidden)
            x_BSD = torch.cat((prefix_BPD, x_BSD), dim=1)
        if self.position_embedding is not None:
            # The factor keeps the variance of the sum at that of one summand.
            x_BSD = (x_BSD + self.position_embedding.weight.to(self.dtype)) * math.sqrt(0.5)
        # The tables have deviation 1/sqrt(D): this brings the input to that of the states.
        return x_BSD * math.sqrt(self.hidden)

    def _update(self, modules: str, z_H: Tensor, z_L: Tensor, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Both states after the named modules have been updated, one after the other."""
        for module in modules:
            if module == "L":
                z_L = self.L(z_L, z_H + x_BSD, self.rotary)
            else:
                z_H = self.H(z_H, z_L, self.rotary)
        return z_H, z_L
