"""Stage `evaluate`: a trained model's predictions on the test puzzles, and how many are right."""

from __future__ import annotations

from pathlib import Path

import torch

from hrm import provenance
from hrm.artifacts import write_json
from hrm.config import EvaluateSettings
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.evaluation.predict import predict
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.score import evaluation_scores
from hrm.progress import note, warn
from hrm.training.card import LoadedModel, load_model


def evaluate(settings: EvaluateSettings, dataset: Path, checkpoints: Path, run: Path) -> None:
    """Write `predictions/`, `evaluate.json` and the provenance record into the run's folder.

    Args:
        settings: the experiment's `evaluate` block.
        dataset: the dataset folder.
        checkpoints: the folder of checkpoints; the newest is evaluated.
        run: the experiment's folder below `runs/`.

    Raises:
        UserError: when the dataset or the checkpoint is missing or damaged, or they do not belong together.
    """
    data = open_dataset(dataset)
    loaded = load_model(checkpoints, "cuda" if torch.cuda.is_available() else "cpu")
    check_belongs(loaded, data)
    copies = symmetric_copies(data, copies=settings.copies, max_puzzles=settings.max_puzzles, seed=settings.seed)
    if not len(copies):
        raise UserError(f"{dataset}: no test puzzles; build it from sources that have some")
    about = {"checkpoint_step": loaded.card.step, "settings": settings.model_dump(mode="json")}
    predict(loaded.model, copies, run / "predictions", batch_size=settings.batch_size, about=about)
    scores = evaluation_scores(open_predictions(run / "predictions", data), data)
    write_json(run / "evaluate.json", scores)
    inputs = {"dataset": dataset, "checkpoint": loaded.folder}
    provenance.write(run / "evaluate.provenance.json", "evaluate", inputs=inputs, settings=settings)
    note(f"{run}/evaluate.json: {scores['exact_accuracy']:.1%} of {scores['count']:,} test puzzles exact")


def check_belongs(loaded: LoadedModel, dataset: Dataset) -> None:
    """Refuse a model that would read the dataset's puzzles as something else.

    A puzzle id means the same in every dataset of the same content only.

    Raises:
        UserError: naming what differs.
    """
    loaded.card.check_fits(dataset, loaded.folder)
    if loaded.card.puzzle != dataset.puzzle:
        raise UserError(f"{loaded.folder}: trained on {loaded.card.puzzle}, but {dataset.path} has {dataset.puzzle}")
    if dataset.puzzle.has_puzzle_ids and loaded.card.imported is not None:
        warn(
            f"{loaded.folder}: trained elsewhere; its scores hold only if {dataset.path} gives its puzzle ids to the "
            "same tasks as that training did"
        )
    elif dataset.puzzle.has_puzzle_ids and loaded.card.dataset_digest != dataset.digest:
        raise UserError(
            f"{loaded.folder}: trained on another dataset than {dataset.path}, so its puzzle ids mean other tasks; "
            "evaluate it on the dataset it was trained on, or train again"
        )
