"""The state of a training run: all that decides what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.data.loader import Position
from hrm.errors import UserError
from hrm.model.act import Carry, initial_carry
from hrm.model.attention import check_backend
from hrm.model.hrm import HRM
from hrm.provenance import code_digest
from hrm.training.average import Average
from hrm.training.distributed import Processes
from hrm.training.optim import AdamATan2, SignSGD
from hrm.training.window import Window


@dataclass
class TrainState:
    """A run between two steps; random draws need no state, they are functions of the seed and the step."""

    model: HRM
    optimizer: AdamATan2
    puzzle_optimizer: SignSGD | None
    average: Average | None
    carry: Carry
    """This process's rows of the global batch."""
    window: Window
    step: int = 0
    """Optimizer steps done."""
    position: Position = field(default_factory=Position)
    """Where the loader draws the next batch."""
    skipped: list[Position] = field(default_factory=list)
    """Batches that are left out, since a loss or a gradient was not finite there."""
    code_digests: list[str] = field(default_factory=lambda: [code_digest()])
    """The code that has worked on this run, the present one last; more than one after an update in mid-run."""
    whole: bool = True
    """False while an optimizer step changes the weights; what would be saved then belongs to no step."""

    @property
    def parameter_norm(self) -> float:
        """Euclidean norm of all parameters; waits for the device."""
        return float(torch.nn.utils.get_total_norm([parameter.detach() for parameter in self.model.parameters()]))

    @contextmanager
    def predicting(self) -> Iterator[HRM]:
        """The model with the weights that predict."""
        with nullcontext() if self.average is None else self.average.in_place():
            yield self.model


def fresh_state(settings: TrainSettings, dataset: Dataset, processes: Processes) -> TrainState:
    """The state before the first step, the same in every process but for the rows of the carry."""
    rows = processes.rows(settings.batch_size)
    with seeded(settings.seed):
        model = build_model(
            settings,
            attention=settings.attention,
            seq_len=dataset.seq_len,
            vocab_size=dataset.vocab_size,
            num_puzzle_ids=dataset.num_puzzle_ids,
        ).to(processes.device)
    model.dtype = activation_dtype(settings.precision, processes.device)
    optimizer = settings.optimizer
    return TrainState(
        model=model,
        optimizer=AdamATan2(
            model.parameters(),
            lr=optimizer.lr,
            betas=(optimizer.beta1, optimizer.beta2),
            weight_decay=optimizer.weight_decay,
        ),
        puzzle_optimizer=None
        if model.puzzle_embedding is None
        else SignSGD(model.puzzle_embedding, lr=optimizer.puzzle_lr, weight_decay=optimizer.puzzle_weight_decay),
        average=Average(model, settings.ema) if settings.ema else None,
        carry=initial_carry(model, rows.stop - rows.start, processes.device),
        window=Window(processes, settings.batch_size),
    )


def check_attention(settings: TrainSettings) -> None:
    """Refuse a kernel that does not work on this machine.

    Raises:
        UserError: naming what it lacks.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        check_backend(settings.attention, device_type=device.type, dtype=activation_dtype(settings.precision, device))
    except ValueError as error:
        raise UserError(f"train.{error}") from None


def build_model(settings: TrainSettings, **sizes: Any) -> HRM:
    """A freshly initialised model.

    Args:
        settings: of its training.
        sizes: `seq_len`, `vocab_size`, `num_puzzle_ids`; and `attention` where it is not to be chosen automatically.
    """
    return HRM(
        puzzle_embedding_width=settings.model.puzzle_embedding_width,
        halt_max_steps=settings.halting.max_steps,
        halt_exploration=settings.halting.exploration,
        learns_continue=settings.halting.continue_target == "next_segment",
        **settings.model.model_dump(exclude={"puzzle_embedding"}),
        **sizes,
    )


def activation_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of activations that a precision stands for on a device that trains."""
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            features = torch.cpu.get_capabilities()
            fast = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws of torch inside depend on the seed alone, and leave those outside as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
