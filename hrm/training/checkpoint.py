"""Checkpoints: the whole state of a training run in a folder, written beside and renamed.

    step-00001000/model.json             what the model is, see `hrm.training.card`
                  model.safetensors      the weights that predict
                  training.json          step, loader position, the code that made it
                  training.safetensors   the optimizer's moments, the global batch's carry, unlogged metrics;
                                         the parameters too, where their average is what predicts

A folder that has its final name is whole. `model.json` knows the digests of the weights and of `training.json`, which
knows that of the other tensors. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import NonNegativeInt
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from hrm.artifacts import digest, read_json, remove, write_json, written_beside
from hrm.data.loader import Position
from hrm.errors import UserError
from hrm.model.act import Carry
from hrm.progress import warn
from hrm.settings import Settings, validate
from hrm.training.card import DamagedError, ModelCard, load_weights, newest_first, read_card, read_tensors
from hrm.training.distributed import Processes
from hrm.training.state import TrainState


class Progress(Settings):
    """`training.json`: the state besides the tensors."""

    step: NonNegativeInt
    position: tuple[NonNegativeInt, NonNegativeInt]
    """Where the loader draws the next batch: see `hrm.data.loader.Position`."""
    skipped: list[tuple[NonNegativeInt, NonNegativeInt]]
    window_steps: NonNegativeInt
    """Steps whose metrics are not logged yet."""
    code_digests: list[str]
    tensors_digest: str = ""
    """SHA-256 of `training.safetensors`; empty before it is written."""


@dataclass(frozen=True)
class Snapshot:
    """A copy of a run's state between two steps: training goes on while it is written."""

    card: ModelCard
    weights: dict[str, Tensor]
    """Those that predict."""
    tensors: dict[str, Tensor]
    """The rest of the state, of the global batch."""
    progress: Progress

    @property
    def name(self) -> str:
        """Of its folder."""
        return folder_name(self.card.step)


def folder_name(step: int) -> str:
    """The folder of the checkpoint after a step."""
    return f"step-{step:08d}"


def snapshot(state: TrainState, card: ModelCard, processes: Processes) -> Snapshot | None:
    """Copy the state of a run to the memory of the host. Every process calls this; the first one gets it.

    Raises:
        NotFiniteError: when a loss or gradient since the last logged point was not: no checkpoint may hold that.
    """
    state.window.check()
    tensors = {}
    for name, tensor in _training_tensors(state, processes):  # one at a time: on a GPU they may fill the memory
        if processes.first:
            tensors[name] = _copied(tensor)
    if not processes.first:
        return None
    weights = dict(state.model.state_dict())
    if state.average is not None:
        tensors |= {f"weights.{name}": _copied(weights[name]) for name in state.average.values}
        weights |= state.average.values
    return Snapshot(
        card=card.model_copy(update={"step": state.step}),
        weights={name: _copied(tensor) for name, tensor in weights.items()},
        tensors=tensors,
        progress=Progress(
            step=state.step,
            position=state.position,
            skipped=list(state.skipped),
            window_steps=state.window.steps,
            code_digests=state.code_digests,
        ),
    )


def write(checkpoints: Path, taken: Snapshot) -> Path:
    """Write a snapshot as a checkpoint; gives its folder.

    Raises:
        OSError: when the disk does not take it; what was there stays as it was.
    """
    folder = checkpoints / taken.name
    with written_beside(folder) as beside:
        beside.mkdir()
        _save(taken.weights, beside / "model.safetensors")
        _save(taken.tensors, beside / "training.safetensors")
        progress = taken.progress.model_copy(update={"tensors_digest": digest(beside / "training.safetensors")})
        write_json(beside / "training.json", progress.model_dump(mode="json"))
        digests = {
            "weights_digest": digest(beside / "model.safetensors"),
            "progress_digest": digest(beside / "training.json"),
        }
        write_json(beside / "model.json", taken.card.model_copy(update=digests).model_dump(mode="json"))
    return folder


def newest_intact(checkpoints: Path) -> Snapshot | None:
    """The newest checkpoint that can be gone on from; None where there is none.

    Damaged ones are named, and renamed, so that they do not count among those that are kept.
    """
    for folder in newest_first(checkpoints):
        try:
            return read(folder)
        except (DamagedError, UserError) as error:
            warn(f"{folder}: damaged checkpoint skipped ({error})")
            aside = folder.with_name(f"damaged-{folder.name}")
            remove(aside)
            folder.rename(aside)
    return None


def read(folder: Path) -> Snapshot:
    """A checkpoint as it was written.

    Raises:
        DamagedError: when a file is not what was written.
        UserError: when the card is not one.
    """
    card = read_card(folder / "model.json")
    file = folder / "training.json"
    if not file.is_file() or digest(file) != card.progress_digest:
        raise DamagedError(f"{file.name} is not what was written")
    progress = validate(Progress, read_json(file), str(file))
    return Snapshot(
        card=card,
        weights=read_tensors(folder / "model.safetensors", card.weights_digest),
        tensors=read_tensors(folder / "training.safetensors", progress.tensors_digest),
        progress=progress,
    )


def resume(found: Snapshot | None, state: TrainState, processes: Processes) -> bool:
    """Set a fresh state to a checkpoint; False when there is none.

    The first process has read it and tells the others, so that only its machine needs the files. The checkpoint may
    come from another number of processes: it is that of the global batch.

    Args:
        found: the checkpoint; what others than the first process give does not matter.
        state: changed in place.
        processes: every process must call this.

    Raises:
        UserError: when the weights do not fit the model.
    """
    progress = processes.share(found.progress if found else None)
    if progress is None:
        return False
    weights = processes.spread(found.weights if found else None)
    tensors = processes.spread(found.tensors if found else None)
    trained = {name.removeprefix("weights."): x for name, x in tensors.items() if name.startswith("weights.")}
    load_weights(state.model, weights | trained, Path(folder_name(progress.step)) / "model.safetensors")
    if state.average is not None:
        state.average.load(weights)
    _load_training_tensors(state, tensors, progress, processes)
    state.step, state.position = progress.step, Position(*progress.position)
    state.skipped = [Position(*position) for position in progress.skipped]
    state.code_digests = list(dict.fromkeys([*progress.code_digests, *state.code_digests]))
    return True


def _training_tensors(state: TrainState, processes: Processes) -> Iterator[tuple[str, Tensor]]:
    for field in dataclasses.fields(Carry):
        yield f"carry.{field.name}", processes.gather(getattr(state.carry, field.name))
    for name, total in state.window.totals().items():
        yield f"window.{name}", total
    for index, values in state.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            yield f"optimizer.{index}.{name}", torch.as_tensor(value)


def _load_training_tensors(
    state: TrainState, tensors: Mapping[str, Tensor], progress: Progress, processes: Processes
) -> None:
    device = processes.device
    rows = processes.rows(len(tensors["carry.halted"]))
    carry = {
        field.name: tensors[f"carry.{field.name}"][rows].to(device, getattr(state.carry, field.name).dtype)
        for field in dataclasses.fields(Carry)  # the states may have been saved in another precision
    }
    state.carry = Carry(**carry)
    totals = {name.removeprefix("window."): x for name, x in tensors.items() if name.startswith("window.")}
    state.window.restore(totals, progress.window_steps)
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    for group in state.optimizer.param_groups:
        group["step"] = progress.step


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # it hides the number of the system's error in its text
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from None


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
