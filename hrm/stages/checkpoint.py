"""Checkpoints of the release: one becomes a run of ours, or a run becomes one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hrm import provenance
from hrm.artifacts import digest, write_json, written_beside
from hrm.config import Experiment
from hrm.data.dataset import open_dataset
from hrm.errors import UserError
from hrm.model.hrm import HRM
from hrm.progress import note
from hrm.stages.evaluate import check_belongs
from hrm.stages.published_file import read_published, write_published
from hrm.training.card import ModelCard, is_intact, load_model, load_weights, newest_card, newest_first, write_model


def import_checkpoint(file: Path, recipe: Experiment, dataset: Path, run: Path, *, step: int = 0) -> None:
    """Make a run of a checkpoint of the release, for `evaluate`, `vote` and `register`; it cannot be trained further.

    Writes `checkpoints/`, `train.json` and `train.provenance.json` into the run's folder, all at once. Importing the
    same file again changes nothing.

    Args:
        file: the release's state dict, see `hrm.stages.published_file.read_published`.
        recipe: an experiment whose `build.puzzle`, `train.model` and `train.halting` say what the model is.
        dataset: the recipe's dataset folder; where there is one, the model must be able to read it.
        run: the run's folder; nothing else may be in it.
        step: optimizer steps behind the weights, 0 where they are not known.

    Raises:
        UserError: when the file is not a checkpoint of this recipe, the dataset does not fit it, or another run is in
            the folder.
    """
    if step < 0:
        raise UserError(f"--step = {step}: must not be negative")
    weights = read_published(file)
    table = weights.get("puzzle_embedding.table", torch.empty(1))
    puzzle = recipe.build.puzzle
    height, width = puzzle.canvas
    card = ModelCard(
        puzzle=puzzle,
        seq_len=height * width,
        vocab_size=puzzle.vocab_size,
        num_puzzle_ids=max([1, *table.shape[:1]]),
        train=recipe.train,
        dataset_digest=None,
        imported=digest(file),
        step=step,
    )
    if _is_there(run, card):
        note(f"{run}: {file} is imported already")
        return
    model = card.build()
    load_weights(model, weights, file)
    if dataset.exists():
        check_belongs(card, file, open_dataset(dataset))
    origin = provenance.record("import", inputs={"weights": file}, settings=recipe.train)
    # How it was trained is not known; these say what it is.
    origin["settings"] = recipe.train.model_dump(mode="json", include={"model", "halting", "precision"})
    origin["source"] = {"file": file.name, "recipe": recipe.name}
    with written_beside(run) as beside:
        _write_run(beside, model, card, origin)
    note(f"{run}: imported {file}; next: hrm evaluate {recipe.name}")


def export_checkpoint(checkpoints: Path, out: Path) -> None:
    """Write the model of the newest intact checkpoint as one file that the release loads.

    Args:
        checkpoints: the folder of checkpoints.
        out: the file; `step_N` tells the release the step.

    Raises:
        UserError: when there is no intact checkpoint, or `out` is a folder.
    """
    loaded = load_model(checkpoints)
    # As the release would have kept them: its activations are bfloat16 unless its settings say otherwise.
    states = torch.float32 if loaded.card.train.precision == "float32" else torch.bfloat16
    write_published(out, loaded.model.state_dict(), states)
    note(f"{out}: the weights of {loaded.folder}, which the release loads")


def _is_there(run: Path, card: ModelCard) -> bool:
    """Whether a run's folder holds this import; False where it holds nothing.

    Raises:
        UserError: when it holds anything else.
    """
    if not run.exists() or not [path for path in run.iterdir() if not path.name.startswith(".")]:
        return False
    folders = newest_first(run / "checkpoints")
    found = newest_card(run / "checkpoints")
    if found is None or not is_intact(folders[0]) or found.model_copy(update={"weights_digest": ""}) != card:
        raise UserError(f"{run}: another run, or a damaged one, is here; move it away, or import as another experiment")
    return True


def _write_run(run: Path, model: HRM, card: ModelCard, origin: dict[str, Any]) -> None:
    """What the later stages need of a run; no training state, for it is not known."""
    write_model(run / "checkpoints", model, card)
    write_json(run / "train.json", {"parameters": sum(parameter.numel() for parameter in model.parameters())})
    write_json(run / "train.provenance.json", origin)
