"""The state of a training run: all that decides what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from hrm.config import ModelSettings, TrainSettings
from hrm.data.dataset import Dataset
from hrm.data.loader import Position
from hrm.model.act import Carry, initial_carry
from hrm.model.hrm import HRM
from hrm.provenance import code_digest
from hrm.training.distributed import Processes
from hrm.training.optim import AdamATan2, SignSGD


@dataclass
class TrainState:
    """A run between two steps; random draws need no state, they are functions of the seed and the step."""

    model: HRM
    optimizer: AdamATan2
    puzzle_optimizer: SignSGD | None
    carry: Carry
    """This process's rows of the global batch."""
    step: int = 0
    """Optimizer steps done."""
    position: Position = field(default_factory=Position)
    """Where the loader draws the next batch."""
    code_digests: list[str] = field(default_factory=lambda: [code_digest()])
    """The code that has worked on this run, the present one last; more than one after an update in mid-run."""


def fresh_state(settings: TrainSettings, dataset: Dataset, processes: Processes) -> TrainState:
    """The state before the first step, the same in every process but for the rows of the carry."""
    rows = processes.rows(settings.batch_size)
    with seeded(settings.seed):
        model = build_model(
            settings.model,
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
        carry=initial_carry(model, rows.stop - rows.start, processes.device),
    )


def build_model(settings: ModelSettings, *, seq_len: int, vocab_size: int, num_puzzle_ids: int) -> HRM:
    """A freshly initialised model."""
    return HRM(
        vocab_size=vocab_size,
        seq_len=seq_len,
        num_puzzle_ids=num_puzzle_ids,
        puzzle_embedding_width=settings.puzzle_embedding_width,
        **settings.model_dump(exclude={"puzzle_embedding"}),
    )


def activation_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of activations that a precision stands for on a device."""
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws of torch inside depend on the seed alone, and leave those outside as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
