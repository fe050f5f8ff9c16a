"""Checkpoints: the whole state of a training run in a folder, written beside and renamed.

    step-00001000/model.json             what the model is: settings, puzzle, sizes, dataset
                  model.safetensors      weights, puzzle embedding included
                  training.json          step, loader position, the code that made it
                  training.safetensors   the optimizer's moments, the carry of the global batch

A folder that has its final name is whole. Nothing in it is pickled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveInt
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from hrm.artifacts import read_json, remove, write_json, written_beside
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.data.loader import Position
from hrm.errors import UserError
from hrm.model.act import Carry
from hrm.model.hrm import HRM
from hrm.progress import warn
from hrm.puzzles import Puzzle
from hrm.settings import Settings, validate
from hrm.training.distributed import Processes
from hrm.training.state import TrainState, activation_dtype, build_model

FORMAT = "hrm-checkpoint/1"
PROGRESS = {"step", "position", "code_digests"}
"""What `training.json` holds."""
KEPT = 2
"""Checkpoints that stay: the newest, and the one before in case the newest is damaged."""


class ModelCard(Settings):
    """`model.json`: everything that is needed to build the model and to feed it."""

    format: str = FORMAT
    puzzle: Puzzle
    seq_len: PositiveInt
    vocab_size: PositiveInt
    num_puzzle_ids: PositiveInt
    train: TrainSettings
    dataset_digest: str
    """The dataset it was trained on."""
    step: NonNegativeInt
    """Optimizer steps behind the weights."""

    def build(self) -> HRM:
        """A freshly initialised model of this shape."""
        return build_model(
            self.train.model, seq_len=self.seq_len, vocab_size=self.vocab_size, num_puzzle_ids=self.num_puzzle_ids
        )

    def check_fits(self, dataset: Dataset, where: Path) -> None:
        """Refuse a dataset whose puzzles the model cannot read.

        Raises:
            UserError: naming the size that differs.
        """
        for name in ("seq_len", "vocab_size", "num_puzzle_ids"):
            of_dataset = getattr(dataset, name)
            if getattr(self, name) != of_dataset:
                raise UserError(
                    f"{where}: the model's {name} is {getattr(self, name)}, but {dataset.path} has {of_dataset}; "
                    "evaluate it on the dataset it was trained on"
                )


def card_of(settings: TrainSettings, dataset: Dataset) -> ModelCard:
    """The card of a model that is trained with these settings on a dataset, before its first step."""
    return ModelCard(
        puzzle=dataset.puzzle,
        seq_len=dataset.seq_len,
        vocab_size=dataset.vocab_size,
        num_puzzle_ids=dataset.num_puzzle_ids,
        train=settings,
        dataset_digest=dataset.digest,
        step=0,
    )


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready to predict."""

    model: HRM
    card: ModelCard
    folder: Path
    """The checkpoint it came from."""


def load_model(checkpoints: Path, device: str = "cpu") -> LoadedModel:
    """The model of the newest intact checkpoint, in evaluation mode.

    Raises:
        UserError: when there is none, or its weights do not fit its settings.
    """
    for folder in newest_first(checkpoints):
        card = read_card(folder / "model.json")
        try:
            model = model_of(card, folder / "model.safetensors", device)
        except (SafetensorError, OSError) as error:
            warn(f"{folder}: damaged checkpoint skipped ({error})")
            continue
        return LoadedModel(model, card, folder)
    if newest_first(checkpoints):
        raise UserError(f"{checkpoints}: every checkpoint here is damaged; train again with `hrm train`")
    raise UserError(f"{checkpoints}: no checkpoint here; make one with `hrm train`")


def model_of(card: ModelCard, weights: Path, device: str) -> HRM:
    """The model that a card describes, with the weights of a file, in evaluation mode.

    Raises:
        UserError: when the weights do not fit the card.
        SafetensorError: when the file is damaged.
        OSError: when it cannot be read.
    """
    model = card.build().to(device)
    model.dtype = activation_dtype(card.train.precision, torch.device(device))
    load_weights(model, load_file(weights, device=device), weights)
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise UserError(
                f"{weights}: {name} holds values that are not finite; train again with a lower learning rate"
            )
    return model.eval()


def is_intact(folder: Path) -> bool:
    """Whether a checkpoint's weights can be opened; a file that was cut off cannot."""
    try:
        with safe_open(folder / "model.safetensors", "pt"):
            return True
    except (SafetensorError, OSError):
        return False


def read_card(path: Path) -> ModelCard:
    """What a checkpoint's model is.

    Raises:
        UserError: when the file is missing, damaged, or of another format version.
    """
    content = read_json(path)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}: format {found!r} is not {FORMAT!r}; train again with this version")
    return validate(ModelCard, content, str(path))


def load_weights(model: HRM, weights: Mapping[str, Tensor], where: Path) -> None:
    """Put weights into a model.

    Raises:
        UserError: naming the first tensor that is missing, unknown, or of another shape.
    """
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights or name not in expected:
            state = "missing" if name not in weights else "not part of this model"
            raise UserError(f"{where}: {name} is {state}; the checkpoint does not match the model's settings")
        if weights[name].shape != expected[name].shape:
            raise UserError(
                f"{where}: {name} has shape {list(weights[name].shape)}, the model {list(expected[name].shape)}; "
                "the checkpoint does not match the model's settings"
            )
    model.load_state_dict(dict(weights))


def save(checkpoints: Path, state: TrainState, card: ModelCard, processes: Processes) -> None:
    """Write the state of a run as its newest checkpoint, and drop those before the last `KEPT`.

    Every process calls this; the first one writes.
    """
    tensors = dict(_training_tensors(state, processes))
    if not processes.first:
        return
    progress = {"step": state.step, "position": state.position._asdict(), "code_digests": state.code_digests}
    with written_beside(checkpoints / f"step-{state.step:08d}") as beside:
        beside.mkdir()
        save_file(_contiguous(state.model.state_dict()), beside / "model.safetensors")
        save_file(_contiguous(tensors), beside / "training.safetensors")
        write_json(beside / "training.json", progress)
        write_json(beside / "model.json", card.model_copy(update={"step": state.step}).model_dump(mode="json"))
    for old in newest_first(checkpoints)[KEPT:]:
        remove(old)


def resume(checkpoints: Path, state: TrainState, processes: Processes) -> bool:
    """Set a fresh state to the newest intact checkpoint; False when there is none.

    The checkpoint may come from another number of processes: the carry is that of the global batch.
    """
    for folder in newest_first(checkpoints):
        try:
            weights = load_file(folder / "model.safetensors")
            tensors = load_file(folder / "training.safetensors")
            progress = read_json(folder / "training.json")
        except (SafetensorError, OSError, UserError) as error:
            warn(f"{folder}: damaged checkpoint skipped ({error})")
            continue
        if (theirs := set(progress)) != PROGRESS or not any(name.startswith("carry.") for name in tensors):
            warn(f"{folder}: damaged checkpoint skipped (training.json has {sorted(theirs)})")
            continue
        load_weights(state.model, weights, folder / "model.safetensors")
        _load_training_tensors(state, tensors, processes)
        state.step, state.position = progress["step"], Position(**progress["position"])
        state.code_digests = list(dict.fromkeys([*progress["code_digests"], *state.code_digests]))
        for group in state.optimizer.param_groups:
            group["step"] = state.step
        return True
    return False


def newest_card(checkpoints: Path) -> ModelCard | None:
    """What the newest checkpoint with a readable card is; None where there is none of this format."""
    for folder in newest_first(checkpoints):
        try:
            return read_card(folder / "model.json")
        except UserError as error:
            warn(f"{error}; skipped")
    return None


def newest_first(checkpoints: Path) -> list[Path]:
    """The checkpoints below a folder, by step."""
    return sorted(checkpoints.glob("step-*"), reverse=True)


def _training_tensors(state: TrainState, processes: Processes) -> Iterator[tuple[str, Tensor]]:
    for field in dataclasses.fields(Carry):
        yield f"carry.{field.name}", processes.gather(getattr(state.carry, field.name))
    for index, values in state.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            yield f"optimizer.{index}.{name}", torch.as_tensor(value)


def _load_training_tensors(state: TrainState, tensors: Mapping[str, Tensor], processes: Processes) -> None:
    device = state.carry.halted.device
    rows = processes.rows(len(tensors["carry.halted"]))
    carry = {
        field.name: tensors[f"carry.{field.name}"][rows].to(device, getattr(state.carry, field.name).dtype)
        for field in dataclasses.fields(Carry)  # the states may have been saved in another precision
    }
    state.carry = Carry(**carry)
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
