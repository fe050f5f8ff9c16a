"""Token loss, halting losses, and the metrics of a step.

Shapes: B batch rows, L tokens, V vocabulary; scalars have no suffix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.model.act import Carry, Outputs

TokenLoss = Literal["stablemax", "stablemax-float32", "softmax"]

IGNORED = -100
"""The label that no loss and no metric looks at."""
Q_WEIGHT = 0.5
"""Weight of the two halting losses beside the token loss."""


@dataclass(frozen=True)
class StepLoss:
    """The loss of a step and its metrics, all still on the device."""

    total: Tensor
    """Summed over rows, to be divided by the *global* batch size before the backward pass."""
    metrics: dict[str, Tensor]
    """Float32 sums without gradient. Over the rows that halted and have a label, `count` of them: `token_accuracy`,
    `exact_accuracy`, `q_halt_accuracy`, `steps`. Over all rows: `loss`, `token_loss`, `q_halt_loss` and, in training,
    `q_continue_loss`."""


def stablemax(logits: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """s(x) = x + 1 for x >= 0 and 1/(1 - x) below, in `dtype`: positive, increasing, and smooth to first order.

    Grows linearly where exp grows without bound, so that confident logits do not lose the gradient (arXiv 2501.04697).
    """
    x = logits.to(dtype)
    # Each summand is constant on the other's side; a plain `where` of both branches has NaN gradients at x = 1.
    return F.relu(x) + 1 / (1 - x.clamp(max=0))


def token_losses(logits_BLV: Tensor, labels_BL: Tensor, kind: TokenLoss) -> Tensor:
    """(B, L) negative log-probabilities of the labels, 0 where ignored; float64 for stablemax, else float32."""
    labels_BL = labels_BL.long()
    if kind == "softmax":
        return F.cross_entropy(logits_BLV.float().mT, labels_BL, ignore_index=IGNORED, reduction="none")
    labelled_BL = labels_BL != IGNORED
    scores_BLV = stablemax(logits_BLV, torch.float32 if kind == "stablemax-float32" else torch.float64)
    score_BL = scores_BLV.gather(-1, labels_BL.where(labelled_BL, 0)[..., None]).squeeze(-1)
    return (scores_BLV.sum(-1).log() - score_BL.log()).where(labelled_BL, 0)


def step_loss(outputs: Outputs, carry: Carry, kind: TokenLoss) -> StepLoss:
    """The loss of a step (paper section 2; the release).

    Args:
        outputs: of `train_step` or `eval_step`.
        carry: the carry that the same step returned.
        kind: of the token loss.
    """
    labelled_BL = carry.labels != IGNORED
    labelled_B = labelled_BL.sum(-1)
    divisor_B = labelled_B.clamp(min=1)
    right_B = (labelled_BL & (outputs.logits_BLV.argmax(-1) == carry.labels)).sum(-1)
    # A padded row, which has no label, counts as exact here: the halting loss learns from it as in the release.
    exact_B = right_B == labelled_B

    losses = {
        "token_loss": (token_losses(outputs.logits_BLV, carry.labels, kind).sum(-1) / divisor_B).sum(),
        "q_halt_loss": _binary_cross_entropy(outputs.q_halt_B, exact_B.float()),
    }
    if outputs.target_q_continue_B is not None:
        losses["q_continue_loss"] = _binary_cross_entropy(outputs.q_continue_B, outputs.target_q_continue_B)
    halting = [loss for name, loss in losses.items() if name != "token_loss"]
    total = losses["token_loss"] + Q_WEIGHT * sum(halting)

    counted_B = carry.halted & (labelled_B > 0)
    sums = {
        "count": counted_B,
        "token_accuracy": (right_B / divisor_B).where(counted_B, 0),
        "exact_accuracy": counted_B & exact_B,
        "q_halt_accuracy": counted_B & ((outputs.q_halt_B >= 0) == exact_B),
        "steps": carry.steps.where(counted_B, 0),
    }
    metrics = {name: values_B.sum() for name, values_B in sums.items()} | {"loss": total} | losses
    return StepLoss(total, {name: value.detach().float() for name, value in metrics.items()})


def _binary_cross_entropy(q_B: Tensor, target_B: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(q_B, target_B, reduction="sum")
