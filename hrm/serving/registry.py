"""Versions in the model registry."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from hrm.evaluation.summary import telling
from hrm.provenance import code_digest
from hrm.serving.champion import CHALLENGER, DECISION, PENDING, UNDECIDED, decide
from hrm.serving.description import Story, describe, scores_of
from hrm.serving.history import CHAMPION
from hrm.serving.outcome import SOLVED, TESTS
from hrm.tracking import PIPELINE_RUN
from hrm.tracking.once import once
from hrm.tracking.run_log import metric_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

SCORE, COUNT = "exact_accuracy", "test_puzzles"
"""Tags of a version: the share of the test puzzles that it solved, and their number."""
OTHERS = ("valid@1", "arc_prize")
"""Scores after voting that are tags, as each pass@K is that tells something."""

REGISTRATION = "registration"
"""Tag of a version: digest of all that was registered with it, so that saying it again makes no second one."""


def registered(client: MlflowClient, story: Story, run_id: str) -> ModelVersion | None:
    """The version of just this run, model, scores, description and code, where it has been registered already."""
    key = version_tags(story, run_id)[REGISTRATION]
    found = client.search_model_versions(f"name = '{story.model_name}' and tags.{REGISTRATION} = '{key}'")
    return min(found, key=lambda version: int(version.version), default=None)


def add_version(client: MlflowClient, story: Story, model: ModelInfo, run_id: str) -> ModelVersion:
    """Register a logged model as the newest version, on which nobody has decided yet.

    Args:
        client: of MLflow.
        story: what the description is written from.
        model: as it was logged.
        run_id: of the run that it was logged to; which test puzzles it solved is logged there as well.
    """
    ensure_model(client, story.model_name)
    client.update_registered_model(story.model_name, story.settings.description)
    client.set_registered_model_tag(story.model_name, "puzzle", story.dataset.puzzle.kind)
    client.log_text(run_id, story.outcome.text(), story.outcome.artifact)
    about = f"{story.settings.description}\n\n{scores_of(story)}\n"
    client.set_tag(run_id, "mlflow.note.content", about)
    return once(
        lambda: registered(client, story, run_id),
        lambda: client.create_model_version(
            story.model_name,
            f"models:/{model.model_id}",
            run_id,
            tags=version_tags(story, run_id),
            description=describe(story, UNDECIDED),
            model_id=model.model_id,
        ),
    )


def settle(client: MlflowClient, version: ModelVersion) -> list[str]:
    """Make a version challenger, and champion where it deserves it, unless that is done.

    Returns:
        Its aliases, the most important first; none where later versions hold them.
    """
    decide(client, version.name, int(version.version))
    holders = client.get_registered_model(version.name).aliases
    return [alias for alias in (CHAMPION, CHALLENGER) if str(holders.get(alias)) == str(version.version)]


def version_tags(story: Story, run_id: str) -> dict[str, str]:
    """What versions are found and compared by."""
    tags = {
        "experiment": story.name,
        "puzzle": story.dataset.puzzle.kind,
        "dataset_digest": story.dataset.digest,
        "parameters": str(story.parameters),
        "step": str(story.loaded.card.step),
        DECISION: PENDING,
        TESTS: story.outcome.tests,
        SOLVED: story.outcome.artifact,
        COUNT: str(len(story.outcome.solved_E)),
        SCORE: str(story.evaluate[SCORE]),
        **story.origin.tags,
        **{metric_name(key): str(story.vote[key]) for key in (*telling(story.vote), *OTHERS) if key in story.vote},
    }
    if story.pipeline_run:
        tags[PIPELINE_RUN] = story.pipeline_run
    content = {**tags, "description": describe(story, UNDECIDED), "weights": story.loaded.card.weights_digest}
    # The same model trained again is another version, a step of a pipeline that is tried again is not.
    content |= {"package": code_digest(), "of": story.pipeline_run or run_id}
    return {**tags, REGISTRATION: hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def ensure_model(client: MlflowClient, name: str) -> None:
    """Make the registered model, unless it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
