"""What an artifact says about itself where only its metadata is shown: digests, counts, scores, where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hrm.artifacts import read_json, read_record
from hrm.data.dataset import open_dataset
from hrm.evaluation.score import EVALUATED, VOTED
from hrm.evaluation.summary import scores_table

SCORES = {"evaluate.json": EVALUATED, "vote.json": VOTED}
AGAIN = "the step before did not end well; run it again"

Metadata = dict[str, Any]
"""Text, numbers, and nothing that is secret."""


def of_raw(folder: Path) -> Metadata:
    """The sources of a folder of raw puzzles: the version and the content digest of each."""
    files = {path.name.removesuffix(".source.json"): read_json(path) for path in sorted(folder.glob("*.source.json"))}
    return {name: f"{file['version'] or 'unversioned'}, sha256 {file['digest']}" for name, file in files.items()}


def of_dataset(folder: Path) -> Metadata:
    """A dataset's digest, puzzle and counts, and what it was made from."""
    dataset = open_dataset(folder)
    return {
        "digest": dataset.digest,
        "puzzle": dataset.puzzle.model_dump_json(),
        "groups": len(dataset.names),
        "variants": len(dataset.symmetries),
        "train_examples": len(dataset.train),
        "test_examples": len(dataset.test),
        **_origin(folder.with_name(f"{folder.name}.provenance.json")),
    }


def of_training(run: Path) -> Metadata:
    """A trained model's step and weights, and what it was made from."""
    from hrm.training.card import newest_card  # with torch, which no other step needs for its metadata

    card = newest_card(run / "checkpoints")
    assert card is not None, "a finished training leaves a checkpoint"
    return {"step": card.step, "weights_digest": card.weights_digest, **_origin(run / "train.provenance.json")}


def of_evaluation(run: Path) -> Metadata:
    """What predictions were made from."""
    return _origin(run / "evaluate.provenance.json")


def of_answers(run: Path) -> Metadata:
    """What answers were made from."""
    return _origin(run / "vote.provenance.json")


def _origin(file: Path) -> Metadata:
    """Inputs and code of a provenance record, flat."""
    record = read_record(file, ("inputs", "code"), AGAIN)
    inputs = {f"{role.replace('/', '_')}_digest": found for role, found in record["inputs"].items()}
    return inputs | {f"code_{key}": found for key, found in record["code"].items() if found}


def of_scores(run: Path) -> dict[str, float]:
    """The scores of a run's folder, by their names in `evaluate.json` and `vote.json`: shares, and the mean steps."""
    found = [read_record(run / file, keys, AGAIN) for file, keys in SCORES.items() if (run / file).is_file()]
    return {key: value for scores in found for key, value in scores.items() if isinstance(value, float)}


def of_vote(name: str, run: Path) -> str:
    """The scores of a run that was voted on, as a page in Markdown."""
    evaluate, vote = (read_record(run / file, keys, AGAIN) for file, keys in SCORES.items())
    return f"# {name}\n\n{scores_table(evaluate, vote)}\n"
