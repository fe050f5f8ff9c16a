"""The best of a sweep."""

from typing import NamedTuple

from kfp import dsl

from components import component


@component
def choose(
    runs: list,
    registers: list,
    metric: str,
    datasets: dsl.Input[list[dsl.Dataset]],
    models: dsl.Input[list[dsl.Model]],
    evaluations: dsl.Input[list[dsl.Artifact]],
    answers: dsl.Input[list[dsl.Artifact]],
    dataset: dsl.Output[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    answer: dsl.Output[dsl.Artifact],
    ranking: dsl.Output[dsl.Markdown],
) -> NamedTuple("Chosen", experiment=str, register=dict):
    """Hand on the run that scores highest, for registration.

    Args:
        runs: experiment and seed of each run.
        registers: the settings' block `register` of each.
        metric: the score that decides, of evaluate.json or vote.json.
        datasets: of each run.
        models: of each run.
        evaluations: of each run.
        answers: of each run.
        dataset: of the chosen run, as are the next three.
        model: its model.
        evaluation: its predictions.
        answer: its answers.
        ranking: all runs with their scores.

    Returns:
        The experiment of the chosen run, and its block `register`.
    """
    from pathlib import Path

    from hrm.artifacts import copied, write_text
    from hrm.stages.choose import best
    from hrm.stages.choose import ranking as table

    given = list(zip(datasets, models, evaluations, answers, strict=True))
    place, scores = best([[Path(artifact.path) for artifact in run[2:]] for run in given], metric)
    for source, target in zip(given[place], (dataset, model, evaluation, answer), strict=True):
        copied(Path(source.path), Path(target.path))
        target.metadata.update(source.metadata)
    names = [f"{run['experiment']}, seed {int(run['seed'])}" for run in runs]
    write_text(Path(ranking.path), table(names, scores, metric))
    return (runs[place]["experiment"], registers[place])
