"""Small networks for the tests of the model."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hrm.model import HRM

SMALL: dict[str, Any] = {
    "vocab_size": 7,
    "seq_len": 5,
    "num_puzzle_ids": 4,
    "hidden": 16,
    "heads": 2,
    "H_layers": 1,
    "L_layers": 1,
    "H_cycles": 2,
    "L_cycles": 2,
    "expansion": 2.0,
    "positions": "rope",
    "puzzle_embedding_width": 16,
    "halt_max_steps": 3,
    "halt_exploration": 0.0,
}


@pytest.fixture
def make_hrm() -> Callable[..., HRM]:
    """A small network, with some settings changed."""

    def make(**changes: Any) -> HRM:
        torch.manual_seed(0)
        return HRM(**{**SMALL, **changes})

    return make
