"""Versions in the model registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hrm.evaluation.summary import scores_table, telling
from hrm.serving.champion import CHALLENGER, DECISION, PENDING, UNDECIDED, decide
from hrm.serving.description import Story, describe, roomy
from hrm.serving.history import CHAMPION
from hrm.serving.outcome import SOLVED, TESTS
from hrm.tracking import PIPELINE_RUN
from hrm.tracking.run_log import metric_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.model import ModelInfo

SCORE, COUNT = "exact_accuracy", "test_puzzles"
"""Tags of a version: the share of the test puzzles that it solved, and their number."""
OTHERS = ("valid@1", "arc_prize")
"""Scores after voting that are tags, as each pass@K is that tells something."""


def add_version(client: MlflowClient, story: Story, model: ModelInfo, run_id: str) -> tuple[int, list[str]]:
    """Register a logged model as the newest version and the challenger, and as the champion where it deserves it.

    Args:
        client: of MLflow.
        story: what the description is written from.
        model: as it was logged.
        run_id: of the run that it was logged to; which test puzzles it solved is logged there as well.

    Returns:
        The number of the version, and its aliases, the most important first.
    """
    ensure_model(client, story.model_name)
    client.update_registered_model(story.model_name, story.settings.description)
    client.set_registered_model_tag(story.model_name, "puzzle", story.dataset.puzzle.kind)
    client.log_text(run_id, story.outcome.text(), story.outcome.artifact)
    about = f"{story.settings.description}\n\n{roomy(scores_table(story.evaluate, story.vote))}\n"
    client.set_tag(run_id, "mlflow.note.content", about)
    version = client.create_model_version(
        story.model_name,
        f"models:/{model.model_id}",
        run_id,
        tags=version_tags(story),
        description=describe(story, UNDECIDED),
        model_id=model.model_id,
    )
    number = int(version.version)
    decision = decide(client, story.model_name, number)
    return number, [CHAMPION, CHALLENGER] if decision.verdict == CHAMPION else [CHALLENGER]


def version_tags(story: Story) -> dict[str, str]:
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
    return tags


def ensure_model(client: MlflowClient, name: str) -> None:
    """Make the registered model, unless it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
