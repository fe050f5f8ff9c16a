"""Attention by the fastest kernel that is installed: flash-attn 3, flash-attn 2, or PyTorch's own.

Shapes: B batch rows, S positions, N heads, K width of a head.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def flash_attention() -> Callable[..., Any] | None:
    """The installed flash-attn function, version 3 before 2; None where neither is installed.

    Raises:
        ImportError: (or whatever else its import raises) when one is installed but broken. Falling back then would hide
            why training is slow.
    """
    for package in ("flash_attn_interface", "flash_attn"):
        if importlib.util.find_spec(package) is not None:
            function: Callable[..., Any] = importlib.import_module(package).flash_attn_func
            return function
    return None


_FLASH = flash_attention()


def attention(q_BSNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor) -> Tensor:
    """Bidirectional softmax attention with scale 1/sqrt(K); every position sees every other.

    Returns:
        (B, S, N, K).
    """
    if _FLASH is not None and q_BSNK.is_cuda and q_BSNK.dtype in (torch.float16, torch.bfloat16):
        out = _FLASH(q_BSNK, k_BSNK, v_BSNK, causal=False)
        # Some releases of version 3 also return the log-sum-exp.
        mixed_BSNK: Tensor = out[0] if isinstance(out, tuple) else out
        return mixed_BSNK
    q_BNSK, k_BNSK, v_BNSK = (x.transpose(1, 2) for x in (q_BSNK, k_BSNK, v_BSNK))
    return F.scaled_dot_product_attention(q_BNSK, k_BNSK, v_BNSK).transpose(1, 2)
