"""`hrm search`: which way of asking a trained model solves how much, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hrm import provenance
from hrm.artifacts import held, remove, write_json, write_text
from hrm.config import EvaluateSettings, SearchSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.effort import efforts, rules_for
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.search import Trial, cheapest, choosing_half
from hrm.evaluation.search_page import page, text
from hrm.progress import note
from hrm.stages.evaluate import evaluate
from hrm.training.card import newest_usable, read_card


def search(
    settings: SearchSettings, evaluation: EvaluateSettings, dataset: Path, checkpoints: Path, run: Path, name: str
) -> str:
    """Write `search.json`, `search.html` and the provenance record into the run's folder.

    Args:
        settings: the experiment's `search` block.
        evaluation: its `evaluate` block, of which batch size, processes and seed hold here as well.
        dataset: the dataset folder.
        checkpoints: the folder of checkpoints.
        run: the experiment's folder below `runs/`.
        name: the experiment's name.

    Returns:
        What was found, as a table and in words.

    Raises:
        UserError: when dataset or checkpoints cannot be used, or one task cannot be halved.
    """
    data = open_dataset(dataset)
    choosing_E = choosing_half(data.test.groups[: settings.max_puzzles])
    if choosing_E.all():
        raise UserError(
            f"{dataset}: one half of the test tasks chooses, the other reports; let search.max_puzzles take two"
        )
    checkpoint = newest_usable(checkpoints, 1)[0]
    trained = read_card(checkpoint / "model.json").train.halting.max_steps
    limits = settings.max_steps or (trained, 2 * trained)
    asked = [_asked(settings, evaluation, limit, steps) for steps in settings.steps for limit in limits]
    working = run / "searching"
    trials: list[Trial] = []
    with held(working / ".lock", f"{working}: another `hrm search` is at work here"):
        for place, one in enumerate(asked, 1):
            note(f"search {place} of {len(asked)}: steps={one.steps}, at most {one.max_steps} segments")
            trials += _trials(one, data, checkpoints, working)
        remove(working)
    found = cheapest(trials, choosing_E, settings.target)
    content = {
        "target": settings.target,
        "puzzles_choosing": int(choosing_E.sum()),
        "puzzles": int((~choosing_E).sum()),
        "cheapest": found and found.record(choosing_E),
        "settings": [trial.record(choosing_E) for trial in trials],
    }
    write_json(run / "search.json", content)
    write_text(run / "search.html", page(name, trials, choosing_E, settings.target))
    inputs = {"dataset": dataset, "checkpoint": checkpoint}
    provenance.write(run / "search.provenance.json", "search", inputs=inputs, settings=settings)
    note(f"{run}/search.html")
    return text(trials, choosing_E, settings.target)


def _asked(settings: SearchSettings, evaluation: EvaluateSettings, limit: int, steps: str) -> EvaluateSettings:
    """An evaluation of all the predictions that are to be tried with one limit on segments."""
    shared = settings.model_dump(include={"copies", "starts", "noise", "checkpoints", "max_puzzles"})
    kept = evaluation.model_dump(include={"batch_size", "processes", "seed"})
    return EvaluateSettings(**shared, **kept, max_steps=limit, steps=steps)


def _trials(asked: EvaluateSettings, data: Dataset, checkpoints: Path, working: Path) -> Iterator[Trial]:
    """One evaluation, and every part of its predictions by every rule; only the figures stay."""
    assert asked.max_steps is not None
    evaluate(asked, data.path, checkpoints, working)
    predictions = open_predictions(working / "predictions", data)
    candidates = candidates_in(predictions, data)
    for effort in efforts(predictions, candidates, rules_for(candidates)):
        yield Trial(asked.steps, asked.max_steps, effort, asked.noise)
