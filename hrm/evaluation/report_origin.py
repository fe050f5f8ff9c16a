"""The report's settings, and where everything came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from hrm.artifacts import read_json
from hrm.data.dataset import Dataset
from hrm.evaluation.markup import details
from hrm.tracking.flat import flat

STAGES = ("build", "train", "adapt", "evaluate", "vote")


def records_of(run: Path, dataset: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The provenance records that are there, by stage."""
    for stage in STAGES:
        path = (
            dataset.with_name(f"{dataset.name}.provenance.json")
            if stage == "build"
            else run / f"{stage}.provenance.json"
        )
        if path.is_file():
            yield stage, read_json(path)


def settings(dataset: Dataset, records: Mapping[str, Mapping[str, Any]]) -> str:
    """The settings of each stage."""
    blocks = {stage: dict(flat(record.get("settings", {}))) for stage, record in records.items()}
    if "build" not in blocks:
        blocks = {"puzzle": dict(flat(dataset.puzzle.model_dump(mode="json"))), **blocks}
    return "".join(details(stage.capitalize(), _list(values)) for stage, values in blocks.items())


def provenance(dataset: Dataset, records: Mapping[str, Mapping[str, Any]]) -> str:
    """What each stage worked on, by digest, and with which code."""
    blocks = {
        stage.capitalize(): dict(
            flat({key: value for key, value in record.items() if key not in ("stage", "settings")})
        )
        for stage, record in records.items()
    }
    notes = {key.replace("_", " "): count for key, count in dataset.notes.items()}
    counts = {"groups": len(dataset.names), "training examples": len(dataset.train), "test examples": len(dataset.test)}
    blocks = {"Dataset": {"digest": dataset.digest, **counts, **notes}, **blocks}
    return "".join(details(title, _list(values)) for title, values in blocks.items())


def _list(values: Mapping[str, Any]) -> str:
    terms = "".join(
        f"<dt>{escape(key)}</dt><dd><code>{escape(_shown(value))}</code></dd>" for key, value in values.items()
    )
    return f"<dl>{terms}</dl>"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
