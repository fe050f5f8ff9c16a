"""The training loop, in the order in which things must exist: data, state, records, loop."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from hrm.config import TrainSettings
from hrm.data.batch import Batch
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.loader import TrainBatches, prefetched
from hrm.errors import UserError
from hrm.model.act import exploration_min_steps, train_step
from hrm.model.losses import step_loss
from hrm.progress import note, progress
from hrm.training import checkpoint
from hrm.training.distributed import Processes, joined
from hrm.training.records import Records, Window
from hrm.training.schedule import lr_factor, total_steps
from hrm.training.state import TrainState, fresh_state
from hrm.training.validation import validate
from hrm.training.workspace import Workspace


def run_training(settings: TrainSettings, dataset: Path, run: Path, name: str) -> None:
    """Train from the newest checkpoint of the run, or from the start, to the end.

    Every process of the run calls this. A finished run is left as it is; one of other settings or data is set aside.

    Args:
        settings: the experiment's `train` block.
        dataset: the dataset folder.
        run: the run's folder.
        name: of the experiment.

    Raises:
        UserError: when the dataset or a checkpoint cannot be used, another training is at work in the folder, or the
            loss is no longer finite.
    """
    with joined() as processes, ExitStack() as held:
        # -- data ------------------------------------------------------------------------------------------------------
        data = open_dataset(dataset)
        rows = processes.rows(settings.batch_size)
        batches = TrainBatches(data, batch_size=settings.batch_size, seed=settings.seed, rows=rows)
        tests = symmetric_copies(data, copies=1, max_puzzles=settings.eval_puzzles, seed=settings.seed)
        steps = steps_of(settings.epochs, settings, data)
        interval = steps_of(settings.eval_every, settings, data)

        # -- state -----------------------------------------------------------------------------------------------------
        place, card = Workspace(run), checkpoint.card_of(settings, data)
        if processes.first:
            held.enter_context(place.held())
            if aside := place.set_aside_others(card):
                note(f"{run}: a run of other settings or data was here; moved to {aside}")
        processes.wait()
        if place.is_finished(card, steps):
            note(f"{place.checkpoints}: this training is finished; remove the folder to train again")
            return
        state = fresh_state(settings, data, processes)
        if checkpoint.resume(place.training, state, processes):
            note(f"{place.training}: going on from step {state.step:,} of {steps:,}")

        # -- loop ------------------------------------------------------------------------------------------------------
        with Records(settings, data, place, name, step=state.step, processes=processes) as records:
            window = Window(processes, settings.batch_size)
            coming = prefetched(batches, state.position, steps - state.step)
            for batch, position in progress(coming, total=steps, initial=state.step, desc=f"train {name}", unit="step"):
                window.add(train_one(state, batch, settings, processes, steps))
                state.position = position
                milestone = state.step % interval == 0 or state.step == steps
                if milestone or state.step % settings.log_every == 0:
                    means = window.close()
                    if not math.isfinite(means["train/loss"]):
                        raise UserError(
                            f"{run}: the loss is not finite at step {state.step}; lower train.optimizer.lr, "
                            f"or go on from a checkpoint before it in {place.training}"
                        )
                    records.add(state.step, means)
                if milestone:
                    scores = validate(state.model, tests, batch_size=settings.batch_size, processes=processes)
                    records.add(state.step, scores)
                    records.write()
                    checkpoint.save(place.training, state, card, processes)
                    note(f"step {state.step:,} of {steps:,}: test puzzles {scores['eval/exact_accuracy']:.1%} exact")

            # -- end ---------------------------------------------------------------------------------------------------
            if processes.first:
                place.publish()
            records.finish(state)
        if processes.first:
            place.clear()


def train_one(
    state: TrainState, batch: Batch, settings: TrainSettings, processes: Processes, steps: int
) -> dict[str, Tensor]:
    """One optimizer step; nothing in it waits for the device.

    Args:
        state: changed in place; its step counts up, its position is the caller's to set.
        batch: this process's rows of the global batch.
        settings: of the training.
        processes: those that share the global batch.
        steps: of the whole run, for the schedule.

    Returns:
        The metric sums of this process's rows, see `hrm.model.losses.StepLoss`.
    """
    state.step += 1
    model, device = state.model, processes.device
    min_steps = exploration_min_steps(
        settings.seed,
        state.step,
        batch_size=settings.batch_size,
        probability=model.halt_exploration,
        halt_max_steps=model.halt_max_steps,
    )[processes.rows(settings.batch_size)]
    offered = (torch.from_numpy(array) for array in (batch.inputs, batch.labels, batch.puzzle_ids))
    inputs_BL, labels_BL, puzzle_ids_B = (tensor.to(device, non_blocking=True) for tensor in offered)

    state.carry, outputs = train_step(
        model, state.carry, inputs_BL, labels_BL, puzzle_ids_B, min_steps_B=min_steps.to(device, non_blocking=True)
    )
    loss = step_loss(outputs, state.carry, settings.loss)
    (loss.total / settings.batch_size).backward()
    processes.sum_gradients(list(model.parameters()))

    factor = lr_factor(
        state.step,
        warmup_steps=settings.optimizer.warmup_steps,
        total_steps=steps,
        min_ratio=settings.optimizer.lr_min_ratio,
    )
    for group in state.optimizer.param_groups:
        group["lr"] = settings.optimizer.lr * factor
    state.optimizer.step()
    state.optimizer.zero_grad()
    if state.puzzle_optimizer is not None and outputs.puzzle_vectors_BE is not None:
        for group in state.puzzle_optimizer.param_groups:
            group["lr"] = settings.optimizer.puzzle_lr * factor
        gradients_BE = outputs.puzzle_vectors_BE.grad
        assert gradients_BE is not None
        state.puzzle_optimizer.step(processes.gather(state.carry.puzzle_ids), processes.gather(gradients_BE))
    return loss.metrics


def steps_of(epochs: int, settings: TrainSettings, dataset: Dataset) -> int:
    """Optimizer steps that a number of epochs takes, at least one."""
    steps = total_steps(
        epochs=epochs,
        groups=len(dataset.train_groups),
        mean_examples=dataset.mean_puzzle_examples,
        global_batch=settings.batch_size,
    )
    return max(1, steps)
