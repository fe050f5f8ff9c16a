"""A trained model learns the embeddings of new tasks from their demonstrations, and the weights only if asked to.

It is training in one process from given weights: the loader, the step and the optimizers are those of `hrm train`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hrm.config import AdaptSettings, TrainSettings
from hrm.data.dataset import Dataset
from hrm.data.loader import TrainBatches, prefetched
from hrm.errors import UserError
from hrm.model.hrm import HRM
from hrm.progress import note, progress
from hrm.training.card import LoadedModel
from hrm.training.distributed import Processes
from hrm.training.state import TrainState, fresh_state
from hrm.training.step import Step
from hrm.training.window import NotFiniteError

TABLE = "puzzle_embedding.table"
LOOKS = 10
"""How often the metrics are looked at."""
LAST_RATE = 0.05
"""Learning rates at the last step, relative to the first: signs of gradients alone never come to rest by themselves."""


class Learned(NamedTuple):
    """What learning gives."""

    model: HRM
    """In evaluation mode; row i + 1 of its puzzle embedding is that of the dataset's variant i."""
    curve: list[dict[str, float]]
    """Loss and accuracy on the demonstrations, as means over the steps since the entry before."""


def check_adaptable(loaded: LoadedModel, settings: AdaptSettings) -> None:
    """Refuse a model that has nothing to learn.

    Raises:
        UserError: saying why.
    """
    if loaded.model.puzzle_embedding is None and not settings.weights:
        raise UserError(
            f"{loaded.folder}: this model has no puzzle embedding, so nothing of it can stand for a new task; set "
            "adapt.weights to true to change its weights instead"
        )


def learn(loaded: LoadedModel, dataset: Dataset, settings: AdaptSettings, device: torch.device) -> Learned:
    """Learn the tasks of a dataset.

    Args:
        loaded: the trained model, which stays as it is.
        dataset: its training split holds the demonstrations.
        settings: how long, and what.
        device: where.

    Raises:
        UserError: when a loss or gradient is no longer finite.
    """
    processes = Processes(rank=0, count=1, device=device)
    train = training_settings(loaded.card.train, settings)
    state = fresh_state(train, dataset, processes)
    state.model.load_state_dict(started(loaded.model.state_dict(), dataset.num_puzzle_ids))
    state.model.requires_grad_(settings.weights)
    curve = _carried_out(state, dataset, settings, Step(train, settings.steps, processes))
    state.model.dtype = loaded.model.dtype
    return Learned(state.model.eval(), curve)


def training_settings(trained: TrainSettings, settings: AdaptSettings) -> TrainSettings:
    """The settings of a model's training, with what an adaptation does differently."""
    rates = {"lr": settings.lr, "puzzle_lr": settings.puzzle_lr, "warmup_steps": 0, "lr_min_ratio": LAST_RATE}
    changes = settings.model_dump(include={"batch_size", "compile", "seed"})
    optimizer = trained.optimizer.model_copy(update=rates)
    return trained.model_copy(update={**changes, "optimizer": optimizer, "ema": 0.0, "processes": 1})


def started(weights: Mapping[str, Tensor], num_puzzle_ids: int) -> dict[str, Tensor]:
    """A model's weights with a table for other puzzles, each row the mean of the trained ones; the blank one stays."""
    begun = dict(weights)
    if TABLE in begun:
        trained = begun[TABLE]
        mean = trained[1:].mean(0) if len(trained) > 1 else trained[0]
        begun[TABLE] = torch.cat([trained[:1], mean.expand(num_puzzle_ids - 1, -1)])
    return begun


def _carried_out(state: TrainState, dataset: Dataset, settings: AdaptSettings, step: Step) -> list[dict[str, float]]:
    batches = TrainBatches(dataset, batch_size=settings.batch_size, seed=settings.seed)
    coming = prefetched(batches, state.position, settings.steps)
    curve = []
    for batch, position in progress(coming, total=settings.steps, desc="adapt", unit="step"):
        step(state, batch, position)
        if state.step * LOOKS // settings.steps > (state.step - 1) * LOOKS // settings.steps:
            curve.append({"step": state.step, **_metrics(state)})
            right = curve[-1].get("exact_accuracy")
            told = "" if right is None else f", demonstrations {right:.1%} exact"
            note(f"step {state.step:,} of {settings.steps:,}: loss {curve[-1]['token_loss']:.4g}{told}")
    return curve


def _metrics(state: TrainState) -> dict[str, Any]:
    try:
        means = state.window.close()
    except NotFiniteError as error:
        raise UserError(
            f"loss or gradient not finite at step {error.step}; lower adapt.puzzle_lr or adapt.lr"
        ) from None
    wanted = {name: means.get(f"train/{name}") for name in ("token_loss", "exact_accuracy")}
    return {name: value for name, value in wanted.items() if value is not None}
