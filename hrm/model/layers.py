"""The building blocks: parameters in float32, cast at use to the type of the activations.

Shapes: B batch rows, S positions, D hidden width, N heads, K = D / N width of a head, F inner width of the SwiGLU,
V rows of a table.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.model.attention import Backend, attention

TRUNCATED_STD = 0.8796256610342398
"""Standard deviation of a unit normal truncated at ±2."""
RMS_EPS = 1e-5


def truncated_normal(*shape: int, std: float) -> Tensor:
    """Float32 draws of a normal truncated at two of its sigmas, with `std` as the deviation after the truncation.

    Plain truncated initialisers lose 12 % of the deviation; this corrects for it, as JAX's do.
    """
    sigma = std / TRUNCATED_STD
    return nn.init.trunc_normal_(torch.empty(shape), std=sigma, a=-2 * sigma, b=2 * sigma)


def rms_norm(x: Tensor) -> Tensor:
    """`x` over the root mean square of its last dimension, in float32, without a learned scale; type and shape of x."""
    return F.rms_norm(x.float(), (x.shape[-1],), eps=RMS_EPS).to(x.dtype)


class Linear(nn.Module):
    """A linear map without bias, initialised with standard deviation 1/sqrt(inputs)."""

    def __init__(self, *, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(truncated_normal(outputs, inputs, std=1 / math.sqrt(inputs)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs), in the type of x."""
        return F.linear(x, self.weight.to(x.dtype))


class QHead(nn.Module):
    """The two Q-values (halt, continue), always in float32.

    Weights start at 0 and biases at -5, so that both values start far below the point of indifference and ACT begins
    from a flat, nearly zero Q (the release).
    """

    def __init__(self, *, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, hidden))
        self.bias = nn.Parameter(torch.full((2,), -5.0))

    def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """q_halt (B,) and q_continue (B,)."""
        q_halt_B, q_continue_B = F.linear(x_BD.float(), self.weight, self.bias).unbind(-1)
        return q_halt_B, q_continue_B


class Embedding(nn.Module):
    """A table of V vectors, initialised with standard deviation 1/sqrt(width)."""

    def __init__(self, *, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(truncated_normal(rows, width, std=1 / math.sqrt(width)))

    def forward(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """(...) integer ids to (..., width) of the given type."""
        return F.embedding(ids, self.weight.to(dtype))


class RotaryTables(nn.Module):
    """The cosines and sines of rotary positions (RoFormer, arXiv 2104.09864), float32, for S positions.

    Buffers that no checkpoint holds: they follow from the sizes.
    """

    cos_SK: Tensor
    sin_SK: Tensor

    def __init__(self, *, positions: int, head_width: int, base: float = 10000.0) -> None:
        super().__init__()
        # Half as wide as a head: the two halves of a head turn by the same angles.
        frequencies = 1.0 / base ** (torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
        angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
        self.register_buffer("cos_SK", angles.cos(), persistent=False)
        self.register_buffer("sin_SK", angles.sin(), persistent=False)

    def forward(self, x_BSMNK: Tensor) -> Tensor:
        """Rotate by position: element i of a head pairs with i + K/2. In float32; type and shape of x.

        M is however many tensors (queries, keys) lie side by side.
        """
        cos, sin = self.cos_SK[:, None, None], self.sin_SK[:, None, None]
        first, second = x_BSMNK.float().chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x_BSMNK.dtype)


class Attention(nn.Module):
    """Bidirectional multi-head self-attention with one fused projection for queries, keys and values."""

    def __init__(self, *, hidden: int, heads: int, backend: Backend) -> None:
        super().__init__()
        self.heads = heads
        self.backend = backend
        self.qkv = Linear(inputs=hidden, outputs=3 * hidden)
        self.out = Linear(inputs=hidden, outputs=hidden)

    def forward(self, x_BSD: Tensor, rotary: RotaryTables | None, first: int | None = None) -> Tensor:
        """(B, S, D) to (B, S, D), or to (B, first, D): what the first positions gather from all."""
        qkv_BS3NK = self.qkv(x_BSD).unflatten(-1, (3, self.heads, -1))
        qk_BS2NK, v_BSNK = qkv_BS3NK[:, :, :2], qkv_BS3NK[:, :, 2]
        if rotary is not None:
            qk_BS2NK = rotary(qk_BS2NK)
        q_BSNK, k_BSNK = qk_BS2NK.unbind(2)
        mixed_BSNK = attention(q_BSNK[:, :first], k_BSNK, v_BSNK, self.backend)
        out: Tensor = self.out(mixed_BSNK.flatten(-2))
        return out


def inner_width(*, hidden: int, expansion: float) -> int:
    """F: two thirds of the expansion, since there are three matrices instead of two; a multiple of 256 suits GPUs."""
    return math.ceil(round(expansion * hidden * 2 / 3) / 256) * 256


class SwiGLU(nn.Module):
    """The gated feed-forward layer (arXiv 2002.05202); one fused projection gives gate and up."""

    def __init__(self, *, hidden: int, expansion: float) -> None:
        super().__init__()
        inner = inner_width(hidden=hidden, expansion=expansion)
        self.gate_up = Linear(inputs=hidden, outputs=2 * inner)
        self.down = Linear(inputs=inner, outputs=hidden)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """(B, S, D) to (B, S, D)."""
        gate_BSF, up_BSF = self.gate_up(x_BSD).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate_BSF) * up_BSF)
        return out


class Block(nn.Module):
    """A transformer block that normalises after each residual sum ("post-norm")."""

    def __init__(self, *, hidden: int, heads: int, expansion: float, backend: Backend) -> None:
        super().__init__()
        self.attention = Attention(hidden=hidden, heads=heads, backend=backend)
        self.mlp = SwiGLU(hidden=hidden, expansion=expansion)

    def forward(self, x_BSD: Tensor, rotary: RotaryTables | None, first: int | None = None) -> Tensor:
        """(B, S, D) to (B, S, D), or to (B, first, D): the same for the first positions alone."""
        x_BSD = rms_norm(x_BSD[:, :first] + self.attention(x_BSD, rotary, first))
        return rms_norm(x_BSD + self.mlp(x_BSD))
