"""The registry in a terminal: the models, and a version's page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hrm.errors import UserError
from hrm.evaluation.score import wilson
from hrm.serving.champion import CHALLENGER
from hrm.serving.description import ROOM
from hrm.serving.history import CHAMPION, State
from hrm.serving.reference import find_model, versions_of
from hrm.serving.registry import COUNT, SCORE
from hrm.tracking.server import public_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

TOLD = (
    *("decision", "experiment", "puzzle", "parameters", "step", "hardware", "device_hours"),
    *("dataset_digest", "test_digest", "git_commit", "parent_run", "pipeline_run"),
)
"""Tags on a version's page, in reading order."""


def listing(client: MlflowClient) -> str:
    """A line for each registered model: its champion with score and interval, its challenger, how many versions.

    Raises:
        UserError: when there is no model.
    """
    models = sorted(client.search_registered_models(), key=lambda model: str(model.name))
    if not models:
        raise UserError(f"{public_uri()}: no model in the registry; register one with `hrm register`")
    rows = [("model", "champion", "exact", "challenger", "versions")]
    for model in models:
        champion, challenger = (model.aliases.get(alias) for alias in (CHAMPION, CHALLENGER))
        score = "" if champion is None else score_of(client.get_model_version(model.name, str(champion)))
        versions = len(versions_of(client, model.name))
        rows.append((model.name, str(champion or "none"), score, str(challenger or "none"), str(versions)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def score_of(version: ModelVersion) -> str:
    """Exact accuracy with its count and interval; `not on record` for a model that was not registered by `hrm`."""
    try:
        score, count = float(version.tags[SCORE]), int(version.tags[COUNT])
    except (KeyError, ValueError):
        return "not on record"
    low, high = wilson(score, count)
    return f"{score:.1%} of {count:,} test puzzles (95 % interval {low:.1%} to {high:.1%})"


def page(client: MlflowClient, version: ModelVersion) -> str:
    """All there is to know of a version: who it is, its description, and when its model had which champion."""
    model = find_model(client, version.name)
    number = str(version.version)
    aliases = ", ".join(sorted(alias for alias, holder in model.aliases.items() if str(holder) == number))
    facts = {
        "aliases": aliases or "none",
        "exact": score_of(version),
        "registered": _time(version.creation_timestamp),
        "run": version.run_id or "none",
        **{key: version.tags[key] for key in TOLD if key in version.tags},
    }
    width = max(map(len, facts))
    title = f"{version.name} version {number}"
    parts = [
        f"{title}\n{'=' * len(title)}",
        "\n".join(f"{key.replace('_', ' '):<{width}}  {value}" for key, value in facts.items()),
        (version.description or "").replace(ROOM, "").strip(),
        history(State.read(client, version.name)),
    ]
    return "\n\n".join(part for part in parts if part)


def history(state: State) -> str:
    """Every change of champion, the newest first, as a section in Markdown; empty where there was none."""
    if not state.log:
        return ""
    lines = [
        f"- {entry.at[:16].replace('T', ' ')} version {entry.version}, by "
        + (f"the rule ({entry.by})" if entry.how == "rule" else f"{entry.by} ({entry.how}): {entry.reason}")
        for entry in reversed(list(state.log.values()))
    ]
    return "\n".join([f"## Champions of {state.name}", "", *lines])


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
