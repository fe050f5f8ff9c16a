"""The two optimizers: AdamATan2 for the parameters, sign-SGD for the puzzle embedding.

Shapes: B rows of the global batch, E width of a puzzle vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from hrm.model.puzzle_embedding import PuzzleEmbedding


class AdamATan2(Optimizer):
    """Adam with decoupled weight decay and atan2 in place of the division (arXiv 2407.05872), so without an epsilon.

    The update is `lr / (1 - beta1^t) * atan2(m, sqrt(v) / sqrt(1 - beta2^t))`: the first bias correction is outside the
    arctangent and no further constant scales it, as in the release. A parameter without a gradient is left alone.

    Args:
        params: tensors, or groups of them.
        lr: learning rate; 0 is allowed.
        betas: decay of the mean gradient, and of the mean squared gradient.
        weight_decay: relative shrinkage of a parameter in a step, divided by the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.1,
    ) -> None:
        # The count lives in the group: every parameter of ours has a gradient at every step.
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "step": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters from their gradients; the result of the closure, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not parameters:
            return
        gradients = [parameter.grad for parameter in parameters]
        means, squares = self._moments(parameters)
        group["step"] += 1
        lr, (beta1, beta2), step = group["lr"], group["betas"], group["step"]

        torch._foreach_mul_(parameters, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)

        updates = torch._foreach_sqrt(squares)
        torch._foreach_div_(updates, math.sqrt(1 - beta2**step))
        for update, mean in zip(updates, means, strict=True):  # there is no foreach arctangent
            torch.atan2(mean, update, out=update)
        torch._foreach_add_(parameters, updates, alpha=-lr / (1 - beta1**step))

    def _moments(self, parameters: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {"mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        states = [self.state[parameter] for parameter in parameters]
        return [state["mean"] for state in states], [state["square"] for state in states]


class SignSGD:
    """Sign-SGD with decoupled weight decay on the rows of a puzzle embedding that are in the batch.

    `row = row * (1 - lr * weight_decay) - lr * sign(gradient)`, once for each id present, with the gradient summed over
    all rows of the global batch that have this id. Rows of absent ids do not move.

    Like torch's optimizers it keeps its rates in `param_groups`; it has no state to save, the table is the model's.

    Args:
        embedding: whose table is updated in place.
        lr: learning rate.
        weight_decay: as in `AdamATan2`.
    """

    def __init__(self, embedding: PuzzleEmbedding, *, lr: float, weight_decay: float) -> None:
        self._embedding = embedding  # not its table: moving a module to a device replaces its buffers
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, "weight_decay": weight_decay}]

    @torch.no_grad()
    def step(self, ids_B: Tensor, gradients_BE: Tensor) -> None:
        """Update the rows of the global batch. Never waits for the device.

        Processes that share the batch give all its rows, each of them the same, and so end with equal tables: each sums
        the same rows in the same order.

        Args:
            ids_B: integer ids of the global batch.
            gradients_BE: gradient of the loss with respect to these rows.
        """
        (group,) = self.param_groups
        lr, weight_decay = group["lr"], group["weight_decay"]
        ids_B, order_B = ids_B.sort(stable=True)
        sums_BE = _sums_of_runs(ids_B, gradients_BE[order_B])
        table = self._embedding.table
        # Rows of one id write the same value, so their order does not matter.
        table[ids_B] = table[ids_B] * (1 - lr * weight_decay) - lr * sums_BE.sign()


def _sums_of_runs(ids_B: Tensor, values_BE: Tensor) -> Tensor:
    """Each value replaced by the sum over all rows of its id; ids are sorted.

    Every sum goes through its rows in order, so it is the same to the last bit each time (scattered additions on a GPU
    are not); and the number of different ids never has to reach the host.
    """
    starts_B = torch.ones_like(ids_B, dtype=torch.bool)
    starts_B[1:] = ids_B[1:] != ids_B[:-1]
    run_B = starts_B.cumsum(0) - 1
    lengths_B = torch.zeros_like(run_B).index_add_(0, run_B, torch.ones_like(run_B))
    # Runs are as many as rows at most; those left over have length 0. `unsafe` skips a check that waits for the device.
    sums = torch.segment_reduce(values_BE, "sum", lengths=lengths_B, axis=0, unsafe=True, initial=0)
    return sums[run_B]
