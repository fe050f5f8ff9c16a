"""Stage `register`: a trained and evaluated model becomes a version in MLflow's registry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm import provenance
from hrm.artifacts import read_record, write_json
from hrm.config import EvaluateSettings, RegisterSettings, VoteSettings
from hrm.data.dataset import open_dataset
from hrm.errors import UserError
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.score import EVALUATED, VOTED
from hrm.evaluation.trace import open_trace
from hrm.progress import note
from hrm.settings import SettingsT, validate
from hrm.tracking import log_finished
from hrm.tracking.finished import require_finished
from hrm.tracking.flat import flat
from hrm.tracking.run_log import DIGEST_LENGTH, metric_name
from hrm.tracking.server import as_default, connect, required
from hrm.tracking.weights_and_biases import log_scores
from hrm.training.card import load_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from hrm.serving.description import Story

EVALUATION = ("evaluate.json", "vote.json", "evaluate.provenance.json", "vote.provenance.json")
"""Files of a run's folder that become artifacts under `evaluation`."""


def register(settings: RegisterSettings, dataset: Path, run: Path, name: str, pipeline_run: str = "") -> None:
    """Log the model, its scores and its report to the training's run in MLflow, and register it as a new version.

    Writes `run/registration.json`: name, version, aliases and address of the registered model. Said again, of the same
    model with the same scores, description and code, it makes no second version, but finishes what was left undone.

    Args:
        settings: the experiment's `register` block.
        dataset: the dataset folder.
        run: the run's folder, after `train`, `evaluate` and `vote`.
        name: of the experiment.
        pipeline_run: the id of the pipeline's run that registers it, for a tag; none when empty.

    Raises:
        UserError: when the training is not finished, an earlier stage is missing or was not made from what lies there
            now, a score is below its minimum, or MLflow cannot be reached.
    """
    story = _story(settings, dataset, run, name, pipeline_run)
    _require_scores(settings.minimum, {**story.evaluate, **story.vote})
    run_id = log_finished(run, name, dataset)
    with required("register the model"), as_default():
        registration = _register(connect(), story, run, run_id)
    write_json(run / "registration.json", registration)
    aliases = ", ".join(registration["aliases"]) or "neither champion nor challenger any more"
    note(f"{registration['name']} version {registration['version']}: {aliases}")
    log_scores(run, name, dict(_scores(story)), [run / file for file in (*EVALUATION, "report.html")])


def _story(settings: RegisterSettings, dataset: Path, run: Path, name: str, pipeline_run: str) -> Story:
    """What the stages before have left, if it belongs together."""
    from hrm.serving.description import Story
    from hrm.serving.gains import gains
    from hrm.serving.origin import Origin
    from hrm.serving.outcome import Outcome

    require_finished(run, name)
    loaded = load_model(run / "checkpoints")
    evaluated, voted = {"dataset": dataset, "checkpoint": loaded.folder}, {"predictions": run / "predictions"}
    _require_made_from(evaluated, run, "evaluate", f"run `hrm evaluate {name}` and `hrm vote {name}` again")
    _require_made_from({"dataset": dataset, **voted}, run, "vote", f"run `hrm vote {name}` again")
    for path in (run / "report.html", run / "answers"):
        if not path.exists():
            raise UserError(f"{path}: missing; run `hrm vote {name}` again")
    opened = open_dataset(dataset)
    predictions = open_predictions(run / "predictions", opened)
    return Story(
        name=name,
        settings=settings,
        dataset=opened,
        loaded=loaded,
        evaluate=read_record(run / "evaluate.json", EVALUATED, f"run `hrm evaluate {name}` again"),
        vote=read_record(run / "vote.json", VOTED, f"run `hrm vote {name}` again"),
        origin=Origin.read(name, run, dataset, loaded.card.train.batch_size),
        outcome=Outcome.of(predictions, opened),
        gains=gains(predictions, open_trace(run / "predictions", opened.puzzle.canvas), opened),
        pipeline_run=pipeline_run,
        asked=_settings_of(run, "evaluate", EvaluateSettings, f"run `hrm evaluate {name}` again"),
        voted=_settings_of(run, "vote", VoteSettings, f"run `hrm vote {name}` again"),
    )


def _settings_of(run: Path, stage: str, kind: type[SettingsT], remedy: str) -> SettingsT:
    """The settings that a stage worked with."""
    file = run / f"{stage}.provenance.json"
    return validate(kind, read_record(file, ["settings"], remedy)["settings"], f"{file}: settings")


def _require_scores(minimum: Mapping[str, float], scores: Mapping[str, Any]) -> None:
    """Refuse a model that is worse than wanted."""
    for key, least in minimum.items():
        if not isinstance(scores.get(key), float):
            known = ", ".join(name for name, score in scores.items() if isinstance(score, float))
            raise UserError(f"register.minimum.{key}: no such score; there are {known}")
        if scores[key] < least:
            raise UserError(f"not registered: {key} = {scores[key]:.4g} is below register.minimum.{key} = {least:g}")


def _require_made_from(inputs: Mapping[str, Path], run: Path, stage: str, remedy: str) -> None:
    """Refuse scores of a stage that were made from anything but what lies there now."""
    record = run / f"{stage}.provenance.json"
    made_from = read_record(record, ["inputs"], remedy)["inputs"] if record.is_file() else {}
    for role, path in inputs.items():
        if not path.exists() or made_from.get(role) != provenance.content_digest(path):
            raise UserError(f"{run}/{stage}.json: not made from the present {path}; {remedy}")


def _register(client: MlflowClient, story: Story, run: Path, run_id: str) -> dict[str, Any]:
    """Log what the registry shows, then make the version, unless both was done before; see who is champion."""
    from hrm.serving.origin import parent_of
    from hrm.serving.registry import registered, settle

    story = replace(story, origin=replace(story.origin, parent=parent_of(client, run_id)))
    version = registered(client, story, run_id) or _add(client, story, run, run_id)
    aliases = settle(client, version)
    return {
        "name": story.model_name,
        "version": int(version.version),
        "run_id": version.run_id,
        "aliases": aliases,
        "uri": f"models:/{story.model_name}" + (f"@{aliases[0]}" if aliases else f"/{version.version}"),
    }


def _add(client: MlflowClient, story: Story, run: Path, run_id: str) -> ModelVersion:
    """The new version, with all that it shows in its run."""
    import mlflow

    from hrm.serving.package import log_model
    from hrm.serving.registry import add_version

    for file in EVALUATION:
        client.log_artifact(run_id, str(run / file), "evaluation")
    client.log_artifact(run_id, str(run / "report.html"))
    client.log_artifact(run_id, str(run / "answers"))
    ended = client.get_run(run_id).info.end_time
    with mlflow.start_run(run_id=run_id):
        model = log_model(story.loaded, story.dataset)
    client.set_terminated(run_id, "FINISHED", ended)  # the training's end, not now
    _log_scores(client, story, run_id, model.model_id)
    return add_version(client, story, model, run_id)


def _log_scores(client: MlflowClient, story: Story, run_id: str, model_id: str) -> None:
    """Every score as a metric of the run and of the model, at the last step of the training, on the test puzzles."""
    from mlflow import entities

    now, outcome = int(time.time() * 1000), story.outcome
    tests = entities.Dataset(
        name=f"{story.name} tests",
        digest=outcome.tests[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": story.dataset.path.as_posix()}),
        profile=json.dumps(
            {"test_examples": len(outcome.solved_E), "test_digest": outcome.tests, "digest": story.dataset.digest}
        ),
    )
    tags = [entities.InputTag("mlflow.data.context", "evaluation")]
    client.log_inputs(run_id, datasets=[entities.DatasetInput(tests, tags)])
    of = {"dataset_name": tests.name, "dataset_digest": tests.digest, "model_id": model_id}
    metrics = [
        entities.Metric(metric_name(key), value, now, story.loaded.card.step, **of) for key, value in _scores(story)
    ]
    client.log_batch(run_id, metrics=metrics)


def _scores(story: Story) -> Iterator[tuple[str, float]]:
    """Every score by its path, such as `evaluate/exact_accuracy`."""
    for key, value in flat({"evaluate": story.evaluate, "vote": story.vote}, separator="/"):
        if isinstance(value, int | float):
            yield key, float(value)
