"""An exponential moving average of the parameters, which predicts better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from hrm.model.hrm import HRM


class Average:
    """`average = decay * average + (1 - decay) * parameter` after each step, from the first parameters on.

    The puzzle embedding is not averaged: most of its rows do not move in a step.
    """

    def __init__(self, model: HRM, decay: float) -> None:
        self._model, self._decay = model, decay
        self.values = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present parameters."""
        torch._foreach_lerp_(list(self.values.values()), list(self._model.parameters()), 1 - self._decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from kept values."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model predicts with the average while the block runs."""
        parameters = dict(self._model.named_parameters())
        with torch.no_grad():
            trained = {name: parameter.detach().clone() for name, parameter in parameters.items()}
            for name, parameter in parameters.items():
                parameter.copy_(self.values[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(trained[name])
