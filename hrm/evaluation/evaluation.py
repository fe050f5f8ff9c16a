"""An evaluation in its processes: each does its share of the pieces, and the first one puts them together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from hrm import provenance
from hrm.artifacts import write_json
from hrm.config import EvaluateSettings
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.evaluation.pieces import Pieces
from hrm.evaluation.plan import Plan
from hrm.evaluation.predict import predict_piece, write_artifact
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.score import evaluation_scores
from hrm.progress import note, progress
from hrm.training.card import LoadedModel, ModelCard, load_checkpoint, read_card
from hrm.training.distributed import Processes, joined

WORKING = "evaluating"
"""The working folder, in the run's."""
AGAIN = "it goes on from its finished pieces"
"""What a new start after the loss of a process means."""
LATE = timedelta(days=30)
"""Longest that processes with nothing left to do wait for the others: a piece may take hours on a CPU. One that is lost
is noticed all the same, by its silence."""
MOST = 100_000_000
"""Predictions: each takes some hundred bytes while they are scored."""
SILENCE = 60.0
"""Seconds between two lines about how far it is."""


def run_evaluation(settings: EvaluateSettings, dataset: Path, checkpoints: Sequence[Path], run: Path) -> None:
    """Write `predictions/`, `evaluate.json` and the provenance record, in this process and those beside it.

    What is finished stays in `run/evaluating/` when this is interrupted, and is gone on with.

    Args:
        settings: the experiment's `evaluate` block.
        dataset: the dataset folder.
        checkpoints: that answer, the newest first.
        run: the experiment's folder below `runs/`.

    Raises:
        UserError: when another evaluation is at work there, or a process is lost.
    """
    with joined(AGAIN, LATE) as processes, ExitStack() as held:
        data = open_dataset(dataset)
        cards = [read_card(folder / "model.json") for folder in checkpoints]
        plan = plan_of(settings, data, cards[0])
        pieces = Pieces(run / WORKING, plan)
        free = settings.model_dump(mode="json", exclude={"processes"})
        if processes.first:
            held.enter_context(pieces.held(_identity(free, data, cards, processes)))
        missing = processes.share(pieces.missing() if processes.first else [])
        if len(missing) < plan.checkpoints * plan.num_pieces:
            note(f"{pieces.folder}: going on with {len(missing):,} of {plan.checkpoints * plan.num_pieces:,} pieces")
        _do(missing[processes.rank :: processes.count], plan, pieces, checkpoints, processes)
        processes.wait()
        if processes.first:
            steps = [card.step for card in cards]
            about = {"checkpoint_step": steps[0], "checkpoint_steps": steps, "settings": free}
            write_artifact(run / "predictions", plan, pieces.in_order(), about)
            _record(settings, data, checkpoints, run)
            pieces.clear()


def _record(settings: EvaluateSettings, data: Dataset, checkpoints: Sequence[Path], run: Path) -> None:
    """Write the scores of complete predictions, and where they came from."""
    scores = evaluation_scores(open_predictions(run / "predictions", data), data)
    write_json(run / "evaluate.json", scores)
    others = {f"checkpoint_{place}": folder for place, folder in enumerate(checkpoints[1:], 1)}
    inputs = {"dataset": data.path, "checkpoint": checkpoints[0], **others}
    provenance.write(run / "evaluate.provenance.json", "evaluate", inputs=inputs, settings=settings)
    note(f"{run}/evaluate.json: {scores['exact_accuracy']:.1%} of {scores['count']:,} test puzzles exact")


def plan_of(settings: EvaluateSettings, dataset: Dataset, card: ModelCard) -> Plan:
    """What the settings ask.

    Raises:
        UserError: when there is nothing to ask.
    """
    puzzles = min(len(dataset.test), settings.max_puzzles or len(dataset.test))
    count = puzzles * (settings.copies or 1) * settings.starts * settings.checkpoints
    if count > MOST:
        raise UserError(
            f"evaluate: {count:,} predictions (puzzles x copies x starts x checkpoints) are more than {MOST:,}; "
            "lower one of the four"
        )
    copies = symmetric_copies(dataset, copies=settings.copies, max_puzzles=settings.max_puzzles, seed=settings.seed)
    if not len(copies):
        raise UserError(f"{dataset.path}: no test puzzles; build it from sources that have some")
    return Plan(
        copies,
        settings.batch_size,
        settings.max_steps or card.train.halting.max_steps,
        halt=settings.steps == "halt",
        starts=settings.starts,
        noise=settings.noise,
        checkpoints=settings.checkpoints,
        seed=settings.seed,
    )


def _identity(free: dict[str, Any], data: Dataset, cards: Sequence[ModelCard], processes: Processes) -> dict[str, Any]:
    """All that decides the answers: a card has the digest of the weights, and how the model computes with them."""
    return {
        "dataset": data.digest,
        "models": [card.model_dump(mode="json") for card in cards],
        "settings": free,
        "device": processes.device.type,
        "code": provenance.code_digest(),
    }


def _do(
    keys: Sequence[tuple[int, int]], plan: Plan, pieces: Pieces, checkpoints: Sequence[Path], processes: Processes
) -> None:
    """This process's share; one model is in memory at a time."""
    loaded: LoadedModel | None = None
    for checkpoint, number in _told(keys):
        folder = checkpoints[checkpoint]
        if loaded is None or loaded.folder != folder:
            loaded = None
            loaded = load_checkpoint(folder, str(processes.device))
        pieces.write(checkpoint, number, predict_piece(loaded.model, plan, number, checkpoint))


def _told(keys: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The pieces, with a bar; and for a log, which shows none, with a line now and then."""
    begin = last = time.monotonic()
    for done, key in enumerate(progress(keys, total=len(keys), desc="evaluate", unit="piece")):
        now = time.monotonic()
        if done and now - last >= SILENCE:
            left = (now - begin) / done * (len(keys) - done)
            note(f"evaluate: {done:,} of {len(keys):,} pieces, {left / 60:,.0f} min left")
            last = now
        yield key
