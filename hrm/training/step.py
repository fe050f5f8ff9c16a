"""One optimizer step: segment, loss, gradients, update.

Shapes: B rows of this process, E width of a puzzle vector, T most segments of a puzzle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.config import TrainSettings
from hrm.data.batch import IGNORED, Batch
from hrm.data.loader import Position
from hrm.model.act import Carry, Outputs, exploration_min_steps, refill, train_segment
from hrm.model.hrm import HRM
from hrm.model.losses import TokenLoss, step_loss
from hrm.progress import warn
from hrm.training.distributed import Processes
from hrm.training.schedule import lr_factor
from hrm.training.state import TrainState


class Segment(NamedTuple):
    """What a segment gives: its loss is still to be differentiated."""

    carry: Carry
    loss: Tensor
    """Summed over this process's rows."""
    sums: dict[str, Tensor]
    """Metrics, summed over this process's rows."""


class Step:
    """Takes a run one step on. Nothing in it waits for the device."""

    def __init__(self, settings: TrainSettings, steps: int, processes: Processes) -> None:
        """Prepare.

        Args:
            settings: of the training.
            steps: of the whole run, for the schedule.
            processes: those that share the global batch.
        """
        self._settings, self._steps, self._processes = settings, steps, processes
        self._rows = processes.rows(settings.batch_size)
        self._run_segment: Callable[..., Segment] = run_segment
        if settings.compile:
            self._run_segment = torch.compile(run_segment, fullgraph=True, dynamic=False)

    @property
    def is_compiled(self) -> bool:
        """Whether the step runs compiled, as far as is known before the first one."""
        return self._run_segment is not run_segment

    def __call__(self, state: TrainState, batch: Batch, position: Position) -> None:
        """Change `state` to what it is one step later. An error before the optimizers begin leaves it as it was.

        Args:
            state: changed in place.
            batch: this process's rows of the global batch.
            position: of the batch after this one.
        """
        step = state.step + 1
        carry = self._refilled(state, batch)
        min_steps_B = self._min_steps(state.model, step)
        try:
            segment, vectors_BE = self._differentiated(state.model, carry, min_steps_B)
        except Exception as error:
            if not self._falls_back(error):
                raise
            segment, vectors_BE = self._differentiated(state.model, carry, min_steps_B)
        self._processes.sum_gradients(list(state.model.parameters()))
        norm = torch.nn.utils.get_total_norm([p.grad for p in state.model.parameters() if p.grad is not None])

        state.whole = False
        self._update(state, step, segment.carry.puzzle_ids, None if vectors_BE is None else vectors_BE.grad)
        state.step, state.position, state.carry = step, position, segment.carry
        state.window.add(step, segment.sums, norm)
        state.whole = True

    def _refilled(self, state: TrainState, batch: Batch) -> Carry:
        offered = (torch.from_numpy(array) for array in (batch.inputs, batch.labels, batch.puzzle_ids))
        inputs_BL, labels_BL, puzzle_ids_B = map(self._on_device, offered)
        return refill(state.model, state.carry, inputs_BL, labels_BL, puzzle_ids_B)

    def _min_steps(self, model: HRM, step: int) -> Tensor:
        minimum_B = exploration_min_steps(
            self._settings.seed,
            step,
            batch_size=self._settings.batch_size,
            probability=model.halt_exploration,
            halt_max_steps=model.halt_max_steps,
        )
        return self._on_device(minimum_B[self._rows])

    def _on_device(self, tensor: Tensor) -> Tensor:
        if self._processes.device.type == "cuda":
            tensor = tensor.pin_memory()  # a copy from other memory may wait for the steps before it
        return tensor.to(self._processes.device, non_blocking=True)

    def _differentiated(self, model: HRM, carry: Carry, min_steps_B: Tensor) -> tuple[Segment, Tensor | None]:
        model.zero_grad()
        vectors_BE = None
        if model.puzzle_embedding is not None:
            vectors_BE = model.puzzle_embedding(carry.puzzle_ids).requires_grad_()
        segment = self._run_segment(model, carry, vectors_BE, min_steps_B, self._settings.loss)
        (segment.loss / self._settings.batch_size).backward()
        return segment, vectors_BE

    def _falls_back(self, error: Exception) -> bool:
        """Whether an error is torch.compile's; then the step runs without it from now on."""
        if not self.is_compiled:
            return False
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException  # imported with the compiler only

        if not isinstance(error, TorchDynamoException | FailOnRecompileLimitHit):
            return False
        if self._processes.first:
            reason = str(error).strip().partition("\n")[0]
            warn(f"torch.compile does not work here ({reason}); training goes on without it, more slowly")
        self._run_segment = run_segment
        return True

    def _update(self, state: TrainState, step: int, puzzle_ids_B: Tensor, puzzle_gradients_BE: Tensor | None) -> None:
        settings = self._settings.optimizer
        factor = lr_factor(
            step,
            warmup_steps=settings.warmup_steps,
            total_steps=self._steps,
            min_ratio=settings.lr_min_ratio,
        )
        for group in state.optimizer.param_groups:
            group["lr"] = settings.lr * factor
        state.optimizer.step()
        if state.average is not None:
            state.average.update()
        if state.puzzle_optimizer is not None:
            assert puzzle_gradients_BE is not None
            for group in state.puzzle_optimizer.param_groups:
                group["lr"] = settings.puzzle_lr * factor
            gather = self._processes.gather
            state.puzzle_optimizer.step(gather(puzzle_ids_B), gather(puzzle_gradients_BE))


def run_segment(model: HRM, carry: Carry, vectors_BE: Tensor | None, min_steps_B: Tensor, loss: TokenLoss) -> Segment:
    """One segment of every row with its loss and metrics: what is compiled as one graph.

    Args:
        model: the network.
        carry: with all rows filled.
        vectors_BE: puzzle vectors of the carry's ids, a leaf that requires a gradient; None for a model without.
        min_steps_B: see `hrm.model.act.train_step`.
        loss: of the tokens.
    """
    carry, outputs = train_segment(model, carry, vectors_BE, min_steps_B)
    losses = step_loss(outputs, carry, loss)
    return Segment(carry, losses.total, losses.metrics | halting_sums(outputs, carry, model.halt_max_steps))


def halting_sums(outputs: Outputs, carry: Carry, max_steps: int) -> dict[str, Tensor]:
    """How rows halt: the sums of both Q-values, and of the rows that halted after 1, 2, ... T segments: (T,)."""
    counted_B = carry.halted & (carry.labels != IGNORED).any(-1)
    after_BT = F.one_hot((carry.steps - 1).long(), max_steps)
    sums = {
        "q_halt": outputs.q_halt_B.sum(),
        "halted_after": (after_BT * counted_B[:, None]).sum(0),
    }
    if outputs.target_q_continue_B is not None:
        sums["q_continue"] = outputs.q_continue_B.sum()
    return {name: value.detach().float() for name, value in sums.items()}
