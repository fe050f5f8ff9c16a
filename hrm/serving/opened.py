"""Finding the model that somebody means by a name: in the registry, in a folder, or of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from hrm.artifacts import read_json
from hrm.data.dataset import open_dataset
from hrm.data.published import identifiers
from hrm.errors import UserError
from hrm.serving.voters import Electorate
from hrm.tracking.server import as_default, required
from hrm.training.card import DamagedError, LoadedModel, load_model, model_of, read_card

REGISTRY = "models:/"


@dataclass(frozen=True)
class OpenedModel:
    """A model, and which copies of a puzzle may vote."""

    loaded: LoadedModel
    electorate: Electorate


def open_model(name: str, *, tasks: bool = False) -> OpenedModel:
    """Load a model; no code that lies beside it is run, and nothing is unpickled.

    Args:
        name: `models:/<name>@<alias>` or `models:/<name>/<version>`; a checkpoint, or a folder of them or a run's, of
            which the newest is taken; or the name of an experiment whose run is in `runs/`.
        tasks: whether the names of its puzzle ids are needed: those of a run are read from its dataset.

    Raises:
        UserError: when there is none, it is damaged, or its dataset is missing or another one.
    """
    if name.startswith(REGISTRY):
        return _registered(name)
    folder = Path(name) if Path(name).is_dir() else Path("runs", name)
    if not folder.is_dir():
        raise UserError(f"{name}: no such folder, and no such run in runs/; give one, or models:/NAME@champion")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if (folder / "model.json").is_file():
        loaded = _checkpoint(folder / "model.json", folder / "model.safetensors", device)
    else:
        loaded = load_model(folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder, device)
    names = _names(loaded) if tasks else []
    return OpenedModel(loaded, Electorate(loaded.card.puzzle, names))


def _registered(uri: str) -> OpenedModel:
    with TemporaryDirectory(prefix="hrm-") as folder, required(f"load {uri}"), as_default():
        import mlflow
        from mlflow.models import Model

        place = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        known = Model.load(str(place)).flavors.get("python_function", {}).get("artifacts", {})
        if not {"card", "weights"} <= known.keys():
            raise UserError(f"{uri}: not a model of this project; register one with `hrm register`")
        paths = {name: place / artifact["path"] for name, artifact in known.items()}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        loaded = _checkpoint(paths["card"], paths["weights"], device)
        names = read_json(paths["identifiers"]) if "identifiers" in paths else []
    return OpenedModel(loaded, Electorate(loaded.card.puzzle, names))


def _checkpoint(card_file: Path, weights: Path, device: str) -> LoadedModel:
    card = read_card(card_file)
    try:
        return LoadedModel(model_of(card, weights, device), card, weights.parent)
    except DamagedError as error:
        raise UserError(f"{weights.parent}: damaged ({error}); take another checkpoint, or train again") from None


def _names(loaded: LoadedModel) -> list[str]:
    """The names of all puzzle ids, from the dataset of the run whose `checkpoints/` hold the model."""
    run = loaded.folder.absolute().parents[1]
    place = run.parents[1] / "data/built" / run.name
    dataset = open_dataset(place)
    loaded.card.check_fits(dataset, loaded.folder)
    if loaded.card.dataset_digest not in (None, dataset.digest):
        raise UserError(f"{loaded.folder}: trained on another dataset than {place}, so its puzzle ids mean other tasks")
    return list(identifiers(dataset))
