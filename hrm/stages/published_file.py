"""Checkpoint files of the release: one saved state dict, read without running anything in it, and written."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hrm.artifacts import written_beside
from hrm.errors import UserError
from hrm.model.published import from_published, to_published

COMPILED = "_orig_mod."
"""The release trains a compiled model, whose names begin with this. Its `evaluate.py` takes them off where it does not
compile, but never adds them."""
STATES = ("H_init", "L_init")
"""What the release keeps in the type of its activations; everything else is float32."""
WIDENED = (torch.float32, torch.bfloat16, torch.float16)
"""Types whose every value is one of float32."""


def read_published(file: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint of the release under our names, as float32.

    Args:
        file: what `torch.save` wrote of a state dict, or a `.safetensors` of the same names. Only tensors are read:
            code in a pickle is refused, not run.

    Raises:
        UserError: when the file cannot be read, or holds anything but tensors of the published HRM.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    content = _content(file)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f"{file}: {name!r} is not a tensor; only a model's state dict can be imported")
        if value.dtype not in WIDENED:
            raise UserError(f"{file}: {name} is of {value.dtype}; expected float32, bfloat16 or float16")
    try:
        weights = from_published(content)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None
    if len(weights) < len(content):
        raise UserError(f"{file}: holds a tensor twice, with and without {COMPILED!r}")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise UserError(f"{file}: {name} holds values that are not finite")
    return {name: tensor.float() for name, tensor in weights.items()}


def write_published(file: Path, weights: Mapping[str, Tensor], states: torch.dtype) -> None:
    """Write tensors as a checkpoint file that the release loads, atomically.

    Args:
        file: its place.
        weights: under our names.
        states: type of the initial states. The release assigns what it reads, so that the states decide the type of all
            its activations, and its flash-attention has no float32.
    """
    published = {
        COMPILED + name: tensor.to(states if name.endswith(STATES) else torch.float32)
        for name, tensor in to_published(weights).items()
    }
    with written_beside(file) as beside:
        torch.save(published, beside)


def _content(file: Path) -> dict[Any, Any]:
    try:
        if file.suffix == ".safetensors":
            content: Any = load_file(file)
        else:
            # The old format of torch.save, which is no zip archive, cannot be mapped.
            with warnings.catch_warnings(action="ignore"):  # of pickles that are none of ours, before the error
                content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:  # a reader of bytes that anybody may have written fails in any way
        raise UserError(f"{file}: cannot be read as a state dict of tensors alone ({_first(error)})") from None
    if not isinstance(content, dict) or not content:
        raise UserError(f"{file}: holds no state dict")
    return content


def _first(error: Exception) -> str:
    """The first sentence of an error: torch's own goes on for pages, and advises to run the code."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
