"""The model registry: versions, and which of them is the champion.

Every new version is the `challenger`; the `champion` is the best one so far on the same test puzzles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hrm.data.dataset import Dataset
from hrm.serving.description import Story, describe
from hrm.tracking import PIPELINE_RUN
from hrm.tracking.run_log import metric_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

CHAMPION, CHALLENGER = "champion", "challenger"
SCORE, TESTS = "exact_accuracy", "test_digest"
"""The tags of a version that decide."""


def add_version(client: MlflowClient, story: Story, model: ModelInfo, run_id: str) -> tuple[int, list[str]]:
    """Register a logged model as the newest version and the challenger, and as the champion where it deserves it.

    Returns:
        The number of the version, and its aliases, the most important first.
    """
    _ensure_model(client, story)
    champion = _champion(client, story.model_name)
    tags = version_tags(story)
    won = deserves_champion(tags, champion.tags if champion else None)
    version = client.create_model_version(
        story.model_name,
        f"models:/{model.model_id}",
        run_id,
        tags=tags,
        description=describe(story, _decision(tags, champion, won=won)),
        model_id=model.model_id,
    )
    aliases = [CHAMPION, CHALLENGER] if won else [CHALLENGER]
    for alias in aliases:
        client.set_registered_model_alias(story.model_name, alias, str(version.version))
    return int(version.version), aliases


def deserves_champion(new: Mapping[str, str], champion: Mapping[str, str] | None) -> bool:
    """Whether a version should become the champion: there is none, or it scores higher on the same test puzzles.

    Args:
        new: the tags of the new version.
        champion: those of the present champion, if any.
    """
    if champion is None:
        return True
    return champion.get(TESTS) == new[TESTS] and float(new[SCORE]) > float(champion[SCORE])


def version_tags(story: Story) -> dict[str, str]:
    """What versions are found and compared by."""
    count = story.evaluate["count"]
    tags = {
        "experiment": story.name,
        "puzzle": story.dataset.puzzle.kind,
        "dataset_digest": story.dataset.digest,
        "code_digest": story.code["digest"],
        "parameters": str(story.parameters),
        "step": str(story.loaded.card.step),
        TESTS: digest_of_tests(story.dataset, count),
        "test_puzzles": str(count),
        SCORE: str(story.evaluate[SCORE]),
        **{metric_name(key): str(value) for key, value in story.vote.items() if "@" in key or key == "arc_prize"},
    }
    if commit := story.code["git_commit"]:
        tags["git_commit"] = commit
    if story.pipeline_run:
        tags[PIPELINE_RUN] = story.pipeline_run
    return tags


def digest_of_tests(dataset: Dataset, count: int) -> str:
    """The SHA-256 of the first `count` test puzzles and answers: scores on the same digest can be compared."""
    hasher = hashlib.sha256(dataset.puzzle.model_dump_json().encode())
    for grids in (dataset.test.questions, dataset.test.answers):
        for array in (grids.cells[:count], grids.shapes[:count]):
            hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def _decision(tags: Mapping[str, str], champion: ModelVersion | None, *, won: bool) -> str:
    """In words, why a version is the champion or is not."""
    if champion is None:
        return "The first champion: there was none."
    if champion.tags.get(TESTS) != tags[TESTS]:
        return f"Not compared with the champion, version {champion.version}: it was tested on other puzzles."
    verb = "Champion: more" if won else "Challenger: not more"
    return (
        f"{verb} exact answers than version {champion.version}, the champion before, on the same test puzzles: "
        f"{float(tags[SCORE]):.1%} and {float(champion.tags[SCORE]):.1%}."
    )


def _ensure_model(client: MlflowClient, story: Story) -> None:
    """The registered model, made or brought up to date."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(story.model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.update_registered_model(story.model_name, story.settings.description)
    client.set_registered_model_tag(story.model_name, "puzzle", story.dataset.puzzle.kind)


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    alias = client.get_registered_model(name).aliases.get(CHAMPION)
    return None if alias is None else client.get_model_version(name, str(alias))
