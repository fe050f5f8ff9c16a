"""A trained model's predictions on the test puzzles."""

from kfp import dsl

from components import component


@component
def evaluate(
    evaluate: dict,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """Predict every test puzzle, and its symmetric copies, and count what is right.

    Args:
        evaluate: the settings' block of this stage.
        dataset: with the test puzzles.
        model: of the training step.
        evaluation: the predictions and their scores.
        scores: the same scores, for the page of the run.
    """
    from pathlib import Path

    from hrm.config import EvaluateSettings
    from hrm.stages.evaluate import evaluate as evaluated
    from hrm.stages.handover import settings_of
    from hrm.stages.metadata import of_evaluation, of_scores

    folder = Path(evaluation.path)
    evaluated(settings_of(EvaluateSettings, evaluate), Path(dataset.path), Path(model.path) / "checkpoints", folder)
    scores.metadata.update(of_scores(folder))
    evaluation.metadata.update(of_evaluation(folder))
