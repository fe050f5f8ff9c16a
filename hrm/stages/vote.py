"""Stage `vote`: from predictions on symmetric copies to ranked answers, scores and the report."""

from __future__ import annotations

from pathlib import Path

from hrm import provenance
from hrm.artifacts import read_record, write_json
from hrm.config import VoteSettings
from hrm.data.dataset import open_dataset
from hrm.evaluation.answers import write_answers
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.markup import counted
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.report import write_report
from hrm.evaluation.score import EVALUATED, valid_first_answers, vote_scores
from hrm.evaluation.summary import unit
from hrm.evaluation.vote import ranked_in
from hrm.progress import note


def vote(settings: VoteSettings, dataset: Path, run: Path, name: str) -> None:
    """Write `answers/`, `vote.json`, the provenance record and `report.html` into the run's folder.

    Args:
        settings: the experiment's `vote` block.
        dataset: the dataset folder.
        run: the experiment's folder below `runs/`, with its predictions and `evaluate.json`.
        name: the experiment's name.

    Raises:
        UserError: when predictions are missing, damaged, or of another dataset or format, or the rule does not apply.
    """
    data = open_dataset(dataset)
    predictions = open_predictions(run / "predictions", data).first_copies(settings.max_copies)
    evaluate = read_record(run / "evaluate.json", EVALUATED, f"run `hrm evaluate {name}` again")
    candidates = candidates_in(predictions, data)
    ranking = ranked_in(predictions, candidates, data, settings.rule)
    valid_E = valid_first_answers(ranking, data)
    scores = vote_scores(ranking, data, settings.ks, valid_E)
    write_answers(run / "answers", ranking, data, valid_E)
    write_json(run / "vote.json", scores)
    inputs = {"dataset": dataset, "predictions": run / "predictions"}
    provenance.write(run / "vote.provenance.json", "vote", inputs=inputs, settings=settings)
    right_E = ranking.truth_ranks == 0
    write_report(
        run / "report.html",
        name,
        ranking,
        data,
        run,
        predictions=predictions,
        candidates=candidates,
        evaluate=evaluate,
        vote=scores,
        solved_E=right_E if valid_E is None else right_E | valid_E,
        drawn_puzzles=settings.drawn_puzzles,
    )
    first = min(settings.ks)
    note(f"{run}/vote.json: pass@{first} {scores[f'pass@{first}']:.1%} of {counted(scores['tasks'], unit(scores))}")
    note(f"{run}/report.html")
