"""How fast training is, and how much of what the hardware could do."""

from __future__ import annotations

import time

import torch

from hrm.config import ModelSettings, TrainSettings
from hrm.data.dataset import Dataset
from hrm.model.layers import inner_width
from hrm.training.distributed import Processes
from hrm.training.state import activation_dtype

PEAKS = {
    "NVIDIA A100-SXM4-40GB": 312.0,
    "NVIDIA A100-SXM4-80GB": 312.0,
    "NVIDIA B200": 2250.0,
    "NVIDIA GeForce RTX 4090": 165.2,
    "NVIDIA GeForce RTX 5090": 209.5,
    "NVIDIA H100 80GB HBM3": 989.4,
    "NVIDIA H200": 989.4,
    "NVIDIA L40S": 362.1,
}
"""Dense bfloat16 TFLOP/s with float32 sums, by the GPU's name (NVIDIA's data sheets)."""


class Speed:
    """Measures a run between logged points."""

    def __init__(self, settings: TrainSettings, dataset: Dataset, processes: Processes, step: int) -> None:
        """Begin at a step.

        Args:
            settings: of the training.
            dataset: it trains on.
            processes: that share the work.
            step: the run's present one.
        """
        self._batch_size = settings.batch_size
        self._tera = step_flops(settings, dataset.seq_len, dataset.vocab_size) * settings.batch_size / 1e12
        in_bfloat16 = activation_dtype(settings.precision, processes.device) == torch.bfloat16
        peak = PEAKS.get(processes.device_name) if in_bfloat16 else None
        self._peak = None if peak is None else peak * processes.count
        self.restart(step)

    def restart(self, step: int) -> None:
        """Measure from here on."""
        self._step, self._time = step, time.monotonic()

    def since_last(self, step: int) -> dict[str, float]:
        """Samples and TFLOP a second since the last call, and where the GPU's peak is known the part of it (MFU)."""
        steps_per_second = (step - self._step) / max(time.monotonic() - self._time, 1e-9)
        self.restart(step)
        tera = self._tera * steps_per_second
        speed = {"speed/samples_per_second": self._batch_size * steps_per_second, "speed/tflops": tera}
        return speed if self._peak is None else speed | {"speed/model_flop_utilisation": tera / self._peak}


def step_flops(settings: TrainSettings, seq_len: int, vocab_size: int) -> float:
    """Floating-point operations that one row needs in a training step, those of the matrix products.

    A backward pass takes twice the operations of its forward pass; what is computed anew to save memory does not count.
    """
    model = settings.model
    positions = seq_len + -(-model.puzzle_embedding_width // model.hidden)
    L, H = (layers * block_flops(model, positions) for layers in (model.L_layers, model.H_layers))
    segment = model.H_cycles * (model.L_cycles * L + H)
    head = 2 * seq_len * model.hidden * vocab_size
    cycles = model.gradient_cycles
    differentiated = cycles * (model.L_cycles * L + H) if cycles else L + H
    looks_ahead = settings.halting.continue_target == "next_segment" and settings.halting.max_steps > 1
    return segment * (1 + looks_ahead) + head + 2 * (differentiated + head)


def block_flops(model: ModelSettings, positions: int) -> float:
    """Floating-point operations of one block's forward pass over one row."""
    weights = 4 * model.hidden**2 + 3 * model.hidden * inner_width(hidden=model.hidden, expansion=model.expansion)
    return 2 * positions * weights + 4 * positions**2 * model.hidden
