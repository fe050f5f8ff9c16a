"""Predictions on symmetric copies to one answer each, and the report."""

from kfp import dsl

from components import component


@component
def vote(
    experiment: str,
    vote: dict,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    answers: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """Let the symmetric copies of each test puzzle vote, and draw what came out.

    Args:
        experiment: its name, for the report.
        vote: the settings' block of this stage.
        dataset: with the test puzzles.
        model: of the training step, for the report's curves.
        evaluation: the predictions.
        answers: the ranked answers; for ARC a submission as well.
        report: scores, curves, and the puzzles drawn.
        summary: the scores in a table.
        scores: the same scores, for the page of the run.
    """
    from pathlib import Path

    from hrm.artifacts import write_text
    from hrm.config import VoteSettings
    from hrm.stages.handover import VOTED, gathered, hand_over, settings_of
    from hrm.stages.metadata import of_answers, of_scores, of_vote
    from hrm.stages.vote import vote as voted

    with gathered(Path(model.path), Path(evaluation.path)) as run:
        voted(settings_of(VoteSettings, vote), Path(dataset.path), run, experiment)
        hand_over(run, VOTED, Path(answers.path))
        write_text(Path(report.path), (run / "report.html").read_text())
        write_text(Path(summary.path), of_vote(experiment, run))
        scores.metadata.update(of_scores(run))
    answers.metadata.update(of_answers(Path(answers.path)))
