"""A trained and evaluated model to a version in the registry."""

from kfp import dsl

from components import component


@component
def register(
    experiment: str,
    register: dict,
    run_id: str,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    answers: dsl.Input[dsl.Artifact],
    registration: dsl.Output[dsl.Artifact],
) -> None:
    """Register the model in MLflow, with its scores, report and answers, unless a score is below its minimum.

    Args:
        experiment: its name, and the registered model's if the settings give no other.
        register: the settings' block of this stage.
        run_id: of the pipeline's run; the version is tagged with it.
        dataset: what it was trained and tested on.
        model: of the training step.
        evaluation: its predictions and their scores.
        answers: the votes and their scores.
        registration: name, version, aliases and address in the registry.
    """
    from pathlib import Path

    from hrm.artifacts import read_json, write_json
    from hrm.config import RegisterSettings
    from hrm.stages.handover import gathered, settings_of
    from hrm.stages.register import register as registered

    with gathered(Path(model.path), Path(evaluation.path), Path(answers.path)) as run:
        registered(settings_of(RegisterSettings, register), Path(dataset.path), run, experiment, run_id)
        record = read_json(run / "registration.json")
    write_json(Path(registration.path), record)
    registration.metadata.update({**record, "aliases": ", ".join(record["aliases"])})
