"""The names of our state dict and those of the published checkpoints (`sapientinc/HRM-checkpoint-*` on the hub)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

_TensorT = TypeVar("_TensorT")

# Ours first, the published name second.
_WHOLE = {
    "H_init": "H_init",
    "L_init": "L_init",
    "token_embedding.weight": "embed_tokens.embedding_weight",
    "position_embedding.weight": "embed_pos.embedding_weight",
    "puzzle_embedding.table": "puzzle_emb.weights",
    "output_head.weight": "lm_head.weight",
    "q_head.weight": "q_head.weight",
    "q_head.bias": "q_head.bias",
}
_IN_BLOCK = {
    "attention.qkv.weight": "self_attn.qkv_proj.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "mlp.gate_up.weight": "mlp.gate_up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
}
_WHOLE_PUBLISHED = {published: ours for ours, published in _WHOLE.items()}
_IN_BLOCK_PUBLISHED = {published: ours for ours, published in _IN_BLOCK.items()}

# What torch.compile, the loss head and the ACT wrapper of the release put before a name.
_WRAPPERS = re.compile(r"^(?:_orig_mod\.|model\.|inner\.)*")
_PREFIX = "model.inner."
_OUR_BLOCK = re.compile(r"([HL])\.blocks\.(\d+)\.(.+)")
_PUBLISHED_BLOCK = re.compile(r"([HL])_level\.layers\.(\d+)\.(.+)")


def from_published(state: Mapping[str, _TensorT]) -> dict[str, _TensorT]:
    """A published state dict under our names; values are passed on as they are.

    Raises:
        ValueError: naming a tensor that the published model does not have.
    """
    return {_ours(name): value for name, value in state.items()}


def to_published(state: Mapping[str, _TensorT]) -> dict[str, _TensorT]:
    """Our state dict under the published names (`model.inner.…`), which the release loads.

    Raises:
        ValueError: naming a tensor that our model does not have.
    """
    return {_published(name): value for name, value in state.items()}


def _ours(name: str) -> str:
    bare = _WRAPPERS.sub("", name)
    if bare in _WHOLE_PUBLISHED:
        return _WHOLE_PUBLISHED[bare]
    block = _PUBLISHED_BLOCK.fullmatch(bare)
    if block is None or block[3] not in _IN_BLOCK_PUBLISHED:
        raise ValueError(f"{name}: the published HRM has no such tensor")
    return f"{block[1]}.blocks.{block[2]}.{_IN_BLOCK_PUBLISHED[block[3]]}"


def _published(name: str) -> str:
    if name in _WHOLE:
        return _PREFIX + _WHOLE[name]
    block = _OUR_BLOCK.fullmatch(name)
    if block is None or block[3] not in _IN_BLOCK:
        raise ValueError(f"{name}: HRM has no such tensor")
    return f"{_PREFIX}{block[1]}_level.layers.{block[2]}.{_IN_BLOCK[block[3]]}"
