"""The steps of a run, wired to each other and to what they need of a cluster."""

from __future__ import annotations

from typing import Any

from kfp import dsl

from components.build.component import build
from components.evaluate.component import evaluate
from components.fetch.component import fetch
from components.finish.component import finish
from components.register.component import register
from components.vote.component import vote
from pipelines.kubernetes import DATA, EVALUATION, RECORDING, REGISTRATION, VOTING, Place, provide


def dataset_of(settings: dsl.PipelineTask, place: Place) -> Any:
    """The dataset, from its sources."""
    fetched = provide(fetch(sources=settings.outputs["sources"]), DATA, place)
    built = provide(build(build=settings.outputs["build"], raw=fetched.outputs["raw"]), DATA, place)
    return built.outputs["dataset"]


def judged(settings: dsl.PipelineTask, place: Place, experiment: Any, dataset: Any, model: Any) -> dict[str, Any]:
    """All that is known of a model: dataset, model, its evaluation and its answers, by name; and its scores."""
    evaluated = evaluate(evaluate=settings.outputs["evaluate"], dataset=dataset, model=model)
    provide(evaluated, EVALUATION, place, settings.outputs["evaluation_gpus"])
    evaluation = evaluated.outputs["evaluation"]
    voted = vote(
        experiment=experiment, vote=settings.outputs["vote"], dataset=dataset, model=model, evaluation=evaluation
    )
    provide(voted, VOTING, place)
    return {"dataset": dataset, "model": model, "evaluation": evaluation, "answers": voted.outputs["answers"]}


def registered(experiment: Any, block: Any, place: Place, known: dict[str, Any]) -> None:
    """The model's version in the registry."""
    run_id = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    provide(register(experiment=experiment, register=block, run_id=run_id, **known), REGISTRATION, place)


def finished(experiment: str, place: Place) -> dsl.PipelineTask:
    """The last step, whatever happens to the others."""
    return provide(finish(experiment=experiment, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER), RECORDING, place)
