"""`hrm adapt`: a trained model learns new tasks from their demonstrations, then answers their tests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hrm import provenance
from hrm.artifacts import held, read_record, remove, write_json, written_beside
from hrm.config import AdaptSettings, Experiment
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.new_tasks import NewTasks, build_new_tasks, read_new_tasks, trained_already
from hrm.errors import UserError
from hrm.evaluation.markup import counted
from hrm.progress import note, warn
from hrm.puzzles import Arc
from hrm.stages.asked import answer
from hrm.stages.evaluate import evaluate
from hrm.training.adapt import check_adaptable, learn
from hrm.training.card import LoadedModel, card_of, is_intact, load_model, newest_first, write_model

RECORD = "adapt.json"


def adapt(experiment: Experiment, tasks: Sequence[Path], checkpoints: Path, dataset: Path, out: Path) -> None:
    """Write a folder with answers to new tasks; whole, or what was there before stays.

    It holds `dataset/` (the tasks), `checkpoints/` (the adapted model), `predictions/`, `answers/`, `answers.html`,
    `adapt.json` (what was done), `evaluate.json` and provenance records; and where outputs are known, `vote.json` and
    `report.html`. Until it is whole it is called `<out>.part`; when that is interrupted, the same command goes on after
    what was learned.

    Args:
        experiment: its blocks `adapt`, `evaluate` and `vote` say how.
        tasks: task files, and folders of them.
        checkpoints: the trained model's; the newest is adapted.
        dataset: that it was trained on, which is only looked at, if it is there, for tasks that are not new.
        out: the folder to write.

    Raises:
        UserError: when a task or the model cannot be used; when `out` holds something else, or another process
            writes it.
    """
    _check_place(out)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = load_model(checkpoints, str(device))
    puzzle = loaded.card.puzzle
    if not isinstance(puzzle, Arc):
        raise UserError(f"{loaded.folder}: a {puzzle.title} needs no adaptation: `hrm solve` answers any")
    check_adaptable(loaded, experiment.adapt)
    read = read_new_tasks(puzzle, tasks)
    for name, task in read.too_large.items():
        warn(f"{name}: a side of {task.size} cells is more than the model's canvas of {puzzle.canvas_size}; left out")

    settings = experiment.adapt
    if settings.variants is None:
        settings = settings.model_copy(update={"variants": experiment.build.variants})
    with _taking_the_place_of(out) as work:
        data = build_new_tasks(puzzle, read, work / "dataset", variants=settings.variants or 0, seed=settings.seed)
        not_new = _not_new(loaded, data, dataset)
        done = {**_learned(loaded, data, settings, work), **_about(data, read, not_new)}
        # A single checkpoint comes of this, and a submission without all test inputs is none.
        everything = experiment.evaluate.model_copy(update={"max_puzzles": None, "checkpoints": 1})
        evaluate(everything, data.path, work / "checkpoints", work)
        scores = answer(experiment, data, read, work, _did(done, experiment.name))
        write_json(work / RECORD, {**done, **scores})
    known = (
        f"pass@2 {scores['pass@2']:.1%} of {scores['scored_tasks']:,} tasks" if scores else "whose outputs are unknown"
    )
    note(f"{out}/answers/submission.json: {len(data.test):,} test inputs answered, {known}")


def _check_place(out: Path) -> None:
    """Refuse to replace what was not written by this.

    Raises:
        UserError: naming it.
    """
    if out.name in ("", "..") or _is_of_others(out, RECORD):
        raise UserError(f"{out}: holds what `hrm adapt` did not write, and would replace; name a new folder")
    work = _work_for(out)
    if _is_of_others(work, "dataset", ".dataset.part"):
        raise UserError(f"{work}: `hrm adapt` works at this place, and did not write what is there; move it away")


def _work_for(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def _is_of_others(path: Path, *ours: str) -> bool:
    if not path.is_dir():
        return path.exists() or path.is_symlink()
    return any(path.iterdir()) and not any((path / name).exists() for name in ours)


@contextmanager
def _taking_the_place_of(out: Path) -> Iterator[Path]:
    """A folder to work in, which stays when the block is interrupted, and is `out` when it ends well.

    Raises:
        UserError: when another process works in it.
    """
    with held(out.with_name(f".{out.name}.lock"), f"{out}: another `hrm adapt` is at work here"):
        yield _work_for(out)
        with written_beside(out) as beside:
            _work_for(out).rename(beside)


def _not_new(loaded: LoadedModel, data: Dataset, dataset: Path) -> dict[str, str]:
    """The tasks that the model was trained on, and what they are called there; each is warned of."""
    trained = open_dataset(dataset) if (dataset / "dataset.json").is_file() else None
    if trained is None or trained.digest != loaded.card.dataset_digest:
        note(f"{dataset}: not what the model was trained on, so nothing tells whether it knows a task already")
        return {}
    not_new = trained_already(data, trained)
    for name, known in not_new.items():
        as_name = "" if name == known else f", as {known}"
        warn(f"{name}: the model was trained on this task{as_name}; its answer says nothing about new ones")
    return not_new


def _learned(loaded: LoadedModel, data: Dataset, settings: AdaptSettings, work: Path) -> dict[str, Any]:
    """Write `checkpoints/` and what was learned, unless an interrupted adaptation has done just that."""
    begun = {
        "checkpoint": {"step": loaded.card.step, "weights_digest": loaded.card.weights_digest},
        "dataset_digest": data.digest,
        "settings": settings.model_dump(mode="json"),
    }
    done = _done(work)
    if begun.items() <= done.items():
        note(f"{work}: going on with what was learned")
        return done
    for left in work.iterdir():
        if left != data.path:
            remove(left)
    visits = settings.steps * settings.batch_size / (len(data.symmetries) * data.mean_puzzle_examples)
    what = "embeddings and weights" if settings.weights else "embeddings"
    note(f"{len(data.names):,} tasks, {len(data.symmetries):,} variants: learning {what}, {visits:,.0f} visits each")
    if settings.steps and visits < 1:
        warn(f"adapt.steps = {settings.steps} leaves variants that are never seen; raise it, or lower adapt.variants")
    began = time.monotonic()
    learned = learn(loaded, data, settings, next(loaded.model.parameters()).device)
    card = card_of(loaded.card.train, data).model_copy(update={"step": settings.steps})
    write_model(work / "checkpoints", learned.model, card)
    inputs = {"checkpoint": loaded.folder, "dataset": data.path}
    provenance.write(work / "adapt.provenance.json", "adapt", inputs=inputs, settings=settings)
    seconds = round(time.monotonic() - began, 1)
    done = {**begun, "learned": what, "visits": round(visits, 2), "seconds": seconds, "curve": learned.curve}
    write_json(work / RECORD, done)
    return done


def _done(work: Path) -> dict[str, Any]:
    """What an interrupted adaptation says that it has learned, if all of it is still there."""
    if not any(is_intact(folder) for folder in newest_first(work / "checkpoints")):
        return {}
    try:
        return read_record(work / RECORD, ["learned", "visits", "seconds", "curve"], "learn again")
    except (UserError, OSError):
        return {}


def _did(done: dict[str, Any], name: str) -> str:
    """What was done, in a sentence."""
    tasks, variants = counted(done["tasks"], "new task"), counted(done["variants"], "variant")
    demonstrations, steps = counted(done["demonstrations"], "demonstration"), counted(done["settings"]["steps"], "step")
    return (
        f"Learned the {done['learned']} of {tasks} in {variants} from {demonstrations} in {steps}, with the model "
        f"{name} as it was after step {done['checkpoint']['step']:,}; then answered the tasks' tests."
    )


def _about(data: Dataset, read: NewTasks, not_new: dict[str, str]) -> dict[str, Any]:
    """What the tasks are, for the record."""
    return {
        "tasks": len(data.names),
        "variants": len(data.symmetries),
        "demonstrations": len(data.train),
        "test_inputs": len(data.test),
        "left_out_too_large": sorted(read.too_large),
        "trained_already": not_new,
    }
