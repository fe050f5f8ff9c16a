"""Attention by one of four kernels: flash-attn 3, flash-attn 2, PyTorch's own, or the formula written out.

Shapes: B batch rows, S positions, Q positions that ask (all S, or the first few), N heads, K width of a head.
"""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Backend = Literal["auto", "flash3", "flash2", "sdpa", "matmul"]

_PACKAGES = {"flash3": "flash_attn_interface", "flash2": "flash_attn"}
_FLASH_DTYPES = (torch.float16, torch.bfloat16)
_SHORT = 256
"""Positions up to which the formula beats PyTorch's kernel on a CPU in float32."""


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


# Looked up once: torch.compile cannot look through a search for packages.
_INSTALLED = {name: _installed(package) for name, package in _PACKAGES.items()}


def attention(q_BQNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor, backend: Backend = "auto") -> Tensor:
    """Bidirectional softmax attention with scale 1/sqrt(K); every position sees every other.

    Args:
        q_BQNK: queries.
        k_BSNK: keys.
        v_BSNK: values.
        backend: see `choose`.

    Returns:
        (B, Q, N, K).

    Raises:
        ValueError: see `check_backend`.
        ImportError: (or whatever else its import raises) when flash-attn is installed but broken. Falling back then
            would hide why training is slow.
    """
    chosen = choose(backend, device_type=q_BQNK.device.type, dtype=q_BQNK.dtype, positions=k_BSNK.shape[1])
    if chosen in _PACKAGES:
        return _flash(chosen, q_BQNK, k_BSNK, v_BSNK)
    q_BNQK, k_BNSK, v_BNSK = (x.transpose(1, 2) for x in (q_BQNK, k_BSNK, v_BSNK))
    if chosen == "sdpa":
        return F.scaled_dot_product_attention(q_BNQK, k_BNSK, v_BNSK).transpose(1, 2)
    # The smaller factor is the one to scale: there are fewer elements in a query than in its row of weights.
    weights_BNQS: Tensor = ((q_BNQK * q_BNQK.shape[-1] ** -0.5) @ k_BNSK.mT).softmax(-1)
    return (weights_BNQS @ v_BNSK).transpose(1, 2)


def choose(backend: Backend, *, device_type: str, dtype: torch.dtype, positions: int) -> Backend:
    """The kernel for tensors of this kind: the named one, or the fastest that is there for "auto".

    Args:
        backend: what the user asked for.
        device_type: "cuda", "cpu", ...
        dtype: of queries, keys and values.
        positions: S.

    Raises:
        ValueError: see `check_backend`.
    """
    if backend != "auto":
        check_backend(backend, device_type=device_type, dtype=dtype)
        return backend
    if device_type == "cuda" and dtype in _FLASH_DTYPES:
        if _INSTALLED["flash3"]:
            return "flash3"
        if _INSTALLED["flash2"]:
            return "flash2"
    if device_type == "cpu" and (dtype is torch.bfloat16 or (dtype is torch.float32 and positions <= _SHORT)):
        return "matmul"
    return "sdpa"


def check_backend(backend: Backend, *, device_type: str, dtype: torch.dtype) -> None:
    """Refuse a named kernel that cannot run; to be called before a training begins.

    Raises:
        ValueError: in one line, what is missing and what to do.
    """
    if backend not in _PACKAGES:
        return
    if device_type != "cuda":
        missing = f"needs a GPU, not the device {device_type}"
    elif dtype not in _FLASH_DTYPES:
        missing = f"needs bfloat16 activations, not {str(dtype).removeprefix('torch.')}"
    elif not _INSTALLED[backend]:
        missing = f"needs the package {_PACKAGES[backend]}, which is not installed"
    else:
        return
    raise ValueError(f"attention = {backend} {missing}; `auto` takes the fastest kernel that is there")


def _flash(name: str, q_BQNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor) -> Tensor:
    # Imported where used: one that is broken, or slow to load, troubles only those who use it.
    if name == "flash3":
        from flash_attn_interface import flash_attn_func
    else:
        from flash_attn import flash_attn_func
    out = flash_attn_func(q_BQNK, k_BSNK, v_BSNK, causal=False)
    # Some releases of version 3 also return the log-sum-exp.
    mixed_BQNK: Tensor = out[0] if isinstance(out, tuple) else out
    return mixed_BQNK
