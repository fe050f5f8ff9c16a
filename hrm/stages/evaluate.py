"""Stage `evaluate`: a trained model's predictions on the test puzzles, and how many are right."""

from __future__ import annotations

from pathlib import Path

from hrm.config import EvaluateSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.evaluation.evaluation import AGAIN, plan_of, run_evaluation
from hrm.progress import warn
from hrm.training.card import ModelCard, newest_usable, read_card
from hrm.training.launch import check_devices, launch, local_processes, under_torchrun


def evaluate(settings: EvaluateSettings, dataset: Path, checkpoints: Path, run: Path) -> None:
    """Write `predictions/`, `evaluate.json` and the provenance record into the run's folder, or go on with that.

    It works in several processes where the settings say so. Under `torchrun` this process is one of them; otherwise
    they are started here.

    Args:
        settings: the experiment's `evaluate` block.
        dataset: the dataset folder.
        checkpoints: the folder of checkpoints; the newest ones are evaluated.
        run: the experiment's folder below `runs/`.

    Raises:
        UserError: when the dataset or the checkpoint is missing or damaged, or they do not belong together.
        SystemExit: when one of the started processes failed.
    """
    data = open_dataset(dataset)
    folders = newest_usable(checkpoints, settings.checkpoints)
    if len(folders) < settings.checkpoints:
        raise UserError(
            f"evaluate.checkpoints = {settings.checkpoints}: {checkpoints} has {len(folders)}; train with "
            f"train.checkpoints.leave={settings.checkpoints}"
        )
    cards = [read_card(folder / "model.json") for folder in folders]
    for card, folder in zip(cards, folders, strict=True):
        check_belongs(card, folder, data)
    plan = plan_of(settings, data, cards[0])  # a mistake is told once, before any process is started
    processes = 1 if under_torchrun() else local_processes(settings.processes)
    check_devices(processes, "evaluate.processes")
    processes = min(processes, plan.num_pieces * plan.checkpoints)  # more would have nothing to do
    if processes == 1:
        run_evaluation(settings, dataset, folders, run)
    else:
        launch(run_evaluation, [settings, dataset, folders, run], processes, AGAIN)


def check_belongs(card: ModelCard, folder: Path, dataset: Dataset) -> None:
    """Refuse a model that would read the dataset's puzzles as something else.

    A puzzle id means the same in every dataset of the same content only.

    Raises:
        UserError: naming what differs.
    """
    card.check_fits(dataset, folder)
    if card.puzzle != dataset.puzzle:
        raise UserError(f"{folder}: trained on {card.puzzle}, but {dataset.path} has {dataset.puzzle}")
    if dataset.puzzle.has_puzzle_ids and card.imported is not None:
        warn(
            f"{folder}: trained elsewhere; its scores hold only if {dataset.path} gives its puzzle ids to the "
            "same tasks as that training did"
        )
    elif dataset.puzzle.has_puzzle_ids and card.dataset_digest != dataset.digest:
        raise UserError(
            f"{folder}: trained on another dataset than {dataset.path}, so its puzzle ids mean other tasks; "
            "evaluate it on the dataset it was trained on, or train again"
        )
