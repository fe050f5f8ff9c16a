"""The method written down as directly as it can be: what the step's speed is measured against.

Eager float32 of the published recipes (RoPE, stable-max in float64, one-step gradient, one more segment for the value
of going on), a line for each sentence: nothing is shared, fused or left out. It computes what `hrm.training.step.Step`
computes.

Shapes: B batch rows, L tokens, S positions, D hidden width, N heads, V vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.config import TrainSettings
from hrm.data.batch import IGNORED, Batch
from hrm.model.act import exploration_min_steps
from hrm.model.hrm import HRM
from hrm.training.schedule import lr_factor


class Plain:
    """A training run that starts from the weights of a model."""

    def __init__(self, settings: TrainSettings, model: HRM, steps: int) -> None:
        """Copy the weights.

        Args:
            settings: of the training.
            model: freshly initialised; stays as it is.
            steps: of the whole run, for the schedule.
        """
        self.settings, self.steps_of_run, self.step = settings, steps, 0
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        self.trained = [self.weights[name].requires_grad_() for name, _ in model.named_parameters()]
        self.means = [torch.zeros_like(weight) for weight in self.trained]
        self.squares = [torch.zeros_like(weight) for weight in self.trained]
        rows, device = settings.batch_size, self.trained[0].device
        self.z_H = torch.zeros(rows, model.num_positions, model.hidden, device=device)
        self.z_L = torch.zeros_like(self.z_H)
        self.segments_B = torch.zeros(rows, dtype=torch.int32, device=device)
        self.halted_B = torch.ones(rows, dtype=torch.bool, device=device)
        self.inputs_BL = torch.zeros(rows, model.seq_len, dtype=torch.int32, device=device)
        self.labels_BL = torch.zeros_like(self.inputs_BL)
        self.ids_B = torch.zeros(rows, dtype=torch.int32, device=device)
        half = model.hidden // settings.model.heads // 2
        frequencies = 10000 ** (-torch.arange(half, device=device) / half)
        angles_SK = torch.outer(torch.arange(model.num_positions, device=device), frequencies).repeat(1, 2)
        self.cos_SK, self.sin_SK = angles_SK.cos(), angles_SK.sin()

    # -- the model -----------------------------------------------------------------------------------------------------

    def embed(self, vectors_BD: Tensor) -> Tensor:
        """(B, S, D): the puzzle vector, then the tokens."""
        tokens_BLD = F.embedding(self.inputs_BL, self.weights["token_embedding.weight"])
        return torch.cat([vectors_BD[:, None], tokens_BLD], 1) * math.sqrt(self.settings.model.hidden)

    def segment(self, z_H: Tensor, z_L: Tensor, vectors_BD: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """z_H, z_L, logits (B, L, V), and the Q-values of halting and going on (B,)."""
        cycles = [(H, L) for H in range(self.settings.model.H_cycles) for L in range(self.settings.model.L_cycles)]
        x_BSD = self.embed(vectors_BD)
        with torch.no_grad():
            for cycle in cycles[:-1]:
                z_L = self.module("L", z_L, z_H + x_BSD)
                if cycle[1] == self.settings.model.L_cycles - 1:
                    z_H = self.module("H", z_H, z_L)
        z_L = self.module("L", z_L, z_H + x_BSD)
        z_H = self.module("H", z_H, z_L)
        logits_BLV = F.linear(z_H[:, 1:], self.weights["output_head.weight"])
        q_B2 = F.linear(z_H[:, 0], self.weights["q_head.weight"], self.weights["q_head.bias"])
        return z_H, z_L, logits_BLV, q_B2[:, 0], q_B2[:, 1]

    def module(self, name: str, z_BSD: Tensor, injection_BSD: Tensor) -> Tensor:
        """H or L."""
        x_BSD = z_BSD + injection_BSD
        sizes = self.settings.model
        for number in range(sizes.H_layers if name == "H" else sizes.L_layers):
            block = f"{name}.blocks.{number}"
            x_BSD = rms_norm(x_BSD + self.attention(f"{block}.attention", x_BSD))
            x_BSD = rms_norm(x_BSD + self.swiglu(f"{block}.mlp", x_BSD))
        return x_BSD

    def attention(self, name: str, x_BSD: Tensor) -> Tensor:
        """Every position sees every other."""
        fused = F.linear(x_BSD, self.weights[f"{name}.qkv.weight"])
        q_BNSK, k_BNSK, v_BNSK = (
            part.unflatten(-1, (self.settings.model.heads, -1)).transpose(1, 2) for part in fused.chunk(3, -1)
        )
        mixed_BNSK = F.scaled_dot_product_attention(self.rotated(q_BNSK), self.rotated(k_BNSK), v_BNSK)
        return F.linear(mixed_BNSK.transpose(1, 2).flatten(2), self.weights[f"{name}.out.weight"])

    def rotated(self, x_BNSK: Tensor) -> Tensor:
        """Rotary positions: element i of a head turns with i + K/2."""
        first, second = x_BNSK.chunk(2, -1)
        return x_BNSK * self.cos_SK + torch.cat([-second, first], -1) * self.sin_SK

    def swiglu(self, name: str, x_BSD: Tensor) -> Tensor:
        """The gated feed-forward layer."""
        gate, up = F.linear(x_BSD, self.weights[f"{name}.gate_up.weight"]).chunk(2, -1)
        return F.linear(F.silu(gate) * up, self.weights[f"{name}.down.weight"])

    # -- a step --------------------------------------------------------------------------------------------------------

    def __call__(self, batch: Batch) -> dict[str, float]:
        """One step; the loss a row, and the sums of the metrics over the rows that halted."""
        self.step += 1
        self.refill(batch)
        vectors_BD = self.weights["puzzle_embedding.table"][self.ids_B].requires_grad_()
        z_H, z_L, logits_BLV, q_halt_B, q_continue_B = self.segment(self.z_H, self.z_L, vectors_BD)
        self.z_H, self.z_L, self.segments_B = z_H.detach(), z_L.detach(), self.segments_B + 1
        last_B = self.halt(q_halt_B.detach(), q_continue_B.detach())
        with torch.no_grad():
            *_, next_halt_B, next_continue_B = self.segment(self.z_H, self.z_L, vectors_BD)
            best_B = torch.where(last_B, next_halt_B, torch.maximum(next_halt_B, next_continue_B))
        known_BL = self.labels_BL != IGNORED
        right_BL = (logits_BLV.argmax(-1) == self.labels_BL) & known_BL
        exact_B = right_BL.sum(-1) == known_BL.sum(-1)
        tokens = (token_losses(logits_BLV, self.labels_BL).sum(-1) / known_BL.sum(-1).clamp(min=1)).sum()
        halting = F.binary_cross_entropy_with_logits(q_halt_B, exact_B.float(), reduction="sum")
        going_on = F.binary_cross_entropy_with_logits(q_continue_B, best_B.sigmoid(), reduction="sum")
        loss = (tokens + 0.5 * (halting + going_on)) / len(batch)
        *gradients, gradient_BD = torch.autograd.grad(loss, [*self.trained, vectors_BD])
        self.update(gradients, gradient_BD)
        counted_B = self.halted_B & known_BL.any(-1)
        sums = {
            "count": counted_B,
            "token_accuracy": (right_BL.sum(-1) / known_BL.sum(-1).clamp(min=1)).where(counted_B, 0),
            "exact_accuracy": counted_B & exact_B,
            "q_halt_accuracy": counted_B & ((q_halt_B >= 0) == exact_B),
            "steps": self.segments_B.where(counted_B, 0),
        }
        return {"loss": float(loss.detach()), **{name: float(values_B.sum()) for name, values_B in sums.items()}}

    def refill(self, batch: Batch) -> None:
        """Rows that have halted take the batch's row and start anew."""
        new_B, device = self.halted_B, self.halted_B.device
        offered = (torch.from_numpy(array).to(device) for array in (batch.inputs, batch.labels, batch.puzzle_ids))
        inputs_BL, labels_BL, ids_B = offered
        self.z_H = torch.where(new_B[:, None, None], self.weights["H_init"], self.z_H)
        self.z_L = torch.where(new_B[:, None, None], self.weights["L_init"], self.z_L)
        self.segments_B = torch.where(new_B, 0, self.segments_B)
        self.inputs_BL = torch.where(new_B[:, None], inputs_BL, self.inputs_BL)
        self.labels_BL = torch.where(new_B[:, None], labels_BL, self.labels_BL)
        self.ids_B = torch.where(new_B, ids_B, self.ids_B)

    def halt(self, q_halt_B: Tensor, q_continue_B: Tensor) -> Tensor:
        """Decide which rows halt; gives those whose segment was the last allowed one."""
        halting = self.settings.halting
        minimum_B = exploration_min_steps(
            self.settings.seed,
            self.step,
            batch_size=self.settings.batch_size,
            probability=halting.exploration,
            halt_max_steps=halting.max_steps,
        ).to(q_halt_B.device)
        last_B = self.segments_B >= halting.max_steps
        self.halted_B = (last_B | (q_halt_B > q_continue_B)) & (self.segments_B >= minimum_B)
        return last_B

    @torch.no_grad()
    def update(self, gradients: list[Tensor], gradient_BD: Tensor) -> None:
        """AdamATan2 on the parameters, sign-SGD on the puzzle embedding."""
        rates = self.settings.optimizer
        factor = lr_factor(
            self.step, warmup_steps=rates.warmup_steps, total_steps=self.steps_of_run, min_ratio=rates.lr_min_ratio
        )
        lr, puzzle_lr = rates.lr * factor, rates.puzzle_lr * factor
        for weight, gradient, mean, square in zip(self.trained, gradients, self.means, self.squares, strict=True):
            weight *= 1 - lr * rates.weight_decay
            mean.lerp_(gradient, 1 - rates.beta1)
            square.lerp_(gradient**2, 1 - rates.beta2)
            update = torch.atan2(mean, square.sqrt() / math.sqrt(1 - rates.beta2**self.step))
            weight -= lr / (1 - rates.beta1**self.step) * update
        ids, row_B = self.ids_B.unique(return_inverse=True)
        table = self.weights["puzzle_embedding.table"]
        sums = torch.zeros(len(ids), table.shape[1], device=table.device).index_add_(0, row_B, gradient_BD)
        table[ids] = table[ids] * (1 - puzzle_lr * rates.puzzle_weight_decay) - puzzle_lr * sums.sign()


def rms_norm(x: Tensor) -> Tensor:
    """Over the last dimension, without a learned scale."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)


def token_losses(logits_BLV: Tensor, labels_BL: Tensor) -> Tensor:
    """(B, L) stable-max cross-entropy, 0 where ignored."""
    x = logits_BLV.double()
    # At x = 1 the side that is not taken would divide by zero, and its gradient spoil the other's.
    s_BLV = torch.where(x >= 0, x + 1, 1 / (1 - x + 1e-30))
    log_p_BLV = (s_BLV / s_BLV.sum(-1, keepdim=True)).log()
    known_BL = labels_BL != IGNORED
    return -log_p_BLV.gather(-1, labels_BL.where(known_BL, 0).long()[..., None])[..., 0].where(known_BL, 0)
