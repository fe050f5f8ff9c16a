"""What a checkpoint's model is, and how it is loaded: the part of a checkpoint that predictions need.

step-00001000/model.json           settings, puzzle, sizes, dataset
              model.safetensors    weights, puzzle embedding included
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import NonNegativeInt, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hrm.artifacts import digest, read_json, write_json
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.model.hrm import HRM
from hrm.progress import warn
from hrm.puzzles import Puzzle
from hrm.settings import Settings, validate
from hrm.training.state import build_model

FORMAT = "hrm-checkpoint/2"


class DamagedError(Exception):
    """A file of a checkpoint does not hold what was written into it."""


class ModelCard(Settings):
    """`model.json`: everything that is needed to build the model and to feed it."""

    format: str = FORMAT
    puzzle: Puzzle
    seq_len: PositiveInt
    vocab_size: PositiveInt
    num_puzzle_ids: PositiveInt
    train: TrainSettings
    dataset_digest: str | None
    """The dataset it was trained on; None where that is not known."""
    imported: str | None = None
    """SHA-256 of the file of another tool that the weights came from; None for those trained here."""
    step: NonNegativeInt
    """Optimizer steps behind the weights."""
    weights_digest: str = ""
    """SHA-256 of `model.safetensors`; empty where there are no weights yet."""
    progress_digest: str = ""
    """SHA-256 of `training.json`; empty where the training cannot go on."""

    @property
    def run_digest(self) -> str:
        """What tells this run from others of the same name: settings that decide the weights, and the data."""
        identity = json.dumps([self.train.trajectory, self.dataset_digest], sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()[:12]

    def build(self) -> HRM:
        """A freshly initialised model of this shape."""
        return build_model(
            self.train, seq_len=self.seq_len, vocab_size=self.vocab_size, num_puzzle_ids=self.num_puzzle_ids
        )

    def check_fits(self, dataset: Dataset, where: Path) -> None:
        """Refuse a dataset whose puzzles the model cannot read.

        Raises:
            UserError: naming the size that differs.
        """
        sizes = ["seq_len", "vocab_size"] + ["num_puzzle_ids"] * (self.train.model.puzzle_embedding_width > 0)
        for name in sizes:
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
    (newest,) = newest_usable(checkpoints)
    return load_checkpoint(newest, device)


def load_checkpoint(folder: Path, device: str = "cpu") -> LoadedModel:
    """The model of a checkpoint, in evaluation mode.

    Raises:
        UserError: when its weights do not fit its settings.
        DamagedError: when they are damaged.
    """
    card = read_card(folder / "model.json")
    return LoadedModel(model_of(card, folder / "model.safetensors", device), card, folder)


def newest_usable(checkpoints: Path, count: int = 1) -> list[Path]:
    """The newest intact checkpoints below a folder, the newest first; no more than `count`, and fewer where there are.

    Raises:
        UserError: when there is none, or one is of another format version.
    """
    intact: list[Path] = []
    for folder in newest_first(checkpoints):
        file, card = folder / "model.safetensors", read_card(folder / "model.json")
        if file.is_file() and digest(file) == card.weights_digest:
            intact.append(folder)
        else:
            warn(f"{folder}: damaged checkpoint skipped ({file.name} is not what was written)")
        if len(intact) == count:
            break
    if intact:
        return intact
    if newest_first(checkpoints):
        raise UserError(f"{checkpoints}: every checkpoint here is damaged; train again with `hrm train`")
    raise UserError(f"{checkpoints}: no checkpoint here; make one with `hrm train`")


def model_of(card: ModelCard, weights: Path, device: str) -> HRM:
    """The model that a card describes, with the weights of a file, in evaluation mode.

    Activations are bfloat16 on a GPU only, unless the training asked for them by name: on CPUs the answers of a model
    then do not depend on which one it is.

    Raises:
        UserError: when the weights do not fit the card.
        DamagedError: when the file is damaged.
    """
    model = card.build().to(device)
    asked = card.train.precision == "bfloat16"
    fast = card.train.precision == "auto" and device != "cpu" and torch.cuda.is_bf16_supported(False)
    model.dtype = torch.bfloat16 if asked or fast else torch.float32
    load_weights(model, read_tensors(weights, card.weights_digest, device), weights)
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise UserError(
                f"{weights}: {name} holds values that are not finite; train again with a lower learning rate"
            )
    return model.eval()


def read_tensors(path: Path, expected_digest: str, device: str = "cpu") -> dict[str, Tensor]:
    """The tensors of a file that must hold exactly what was written into it.

    Raises:
        DamagedError: when it does not, or cannot be read.
    """
    try:
        if digest(path) != expected_digest:
            raise DamagedError(f"{path.name} is not what was written")
        return load_file(path, device=device)
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"{path.name}: {error}") from None


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


def write_model(checkpoints: Path, model: HRM, card: ModelCard) -> Path:
    """Write a model as a checkpoint that predicts, and that no training goes on from; gives its folder."""
    folder = checkpoints / f"step-{card.step:08d}"
    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    card = card.model_copy(update={"weights_digest": digest(folder / "model.safetensors")})
    write_json(folder / "model.json", card.model_dump(mode="json"))
    return folder


def is_intact(folder: Path) -> bool:
    """Whether a checkpoint's model holds what was written."""
    try:
        return digest(folder / "model.safetensors") == read_card(folder / "model.json").weights_digest
    except (OSError, UserError):
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
