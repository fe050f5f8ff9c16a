"""Answers to tasks some of whose outputs nobody knows: all are voted on and written down, the known ones scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hrm.artifacts import read_json, write_json
from hrm.config import Experiment
from hrm.data.dataset import Dataset
from hrm.data.new_tasks import NewTasks, known_answers
from hrm.evaluation.answers import write_answers
from hrm.evaluation.asked_page import write_asked_page
from hrm.evaluation.candidates import candidates_in
from hrm.evaluation.predictions import Predictions, open_predictions
from hrm.evaluation.report import write_report
from hrm.evaluation.score import pass_at, vote_scores
from hrm.evaluation.vote import UNSEEN, ranked_in


def answer(experiment: Experiment, data: Dataset, read: NewTasks, run: Path, did: str) -> dict[str, Any]:
    """Vote on every test input, and score what is known.

    Writes `answers/` and `answers.html`; where outputs are known, also `vote.json` and `report.html`.

    Args:
        experiment: its block `vote` says how.
        data: the tasks.
        read: what there was besides, and is in the submission without an answer.
        run: the folder with the predictions and `evaluate.json`.
        did: what was done, for the page.

    Returns:
        The scores, empty where nothing is known.
    """
    predictions = open_predictions(run / "predictions", data).first_copies(experiment.vote.max_copies)
    known_N = known_answers(data)
    ranking = ranked_in(predictions, candidates_in(predictions, data), data, experiment.vote.rule)
    known_E = known_N[ranking.examples]
    # An empty grid stands for what is not known: whoever answers with one is not right.
    ranking = replace(ranking, truth_ranks=np.where(known_E, ranking.truth_ranks, UNSEEN))
    write_answers(run / "answers", ranking, data)
    _submit_left_out(run / "answers/submission.json", read)
    name = f"{experiment.name}, adapted"
    write_asked_page(run / "answers.html", name, did, ranking, data, experiment.vote.drawn_puzzles)
    if not known_E.any():
        return {}
    return _scored(experiment, data, predictions.where(known_N[predictions.examples]), run)


def _scored(experiment: Experiment, data: Dataset, predictions: Predictions, run: Path) -> dict[str, Any]:
    """The scores of predictions whose answers are all known, and the report."""
    candidates = candidates_in(predictions, data)
    ranking = ranked_in(predictions, candidates, data, experiment.vote.rule)
    evaluate = read_json(run / "evaluate.json")
    vote = vote_scores(ranking, data, experiment.vote.ks, None)
    write_json(run / "vote.json", vote)
    write_report(
        run / "report.html",
        f"{experiment.name}, adapted",
        ranking,
        data,
        run,
        predictions=predictions,
        candidates=candidates,
        evaluate=evaluate,
        vote=vote,
        solved_E=ranking.truth_ranks == 0,
        drawn_puzzles=experiment.vote.drawn_puzzles,
    )
    passes = {f"pass@{k}": pass_at(k, ranking.truth_ranks, data.test.groups[ranking.examples]) for k in (1, 2)}
    return {"scored_tasks": vote["tasks"], "exact_accuracy": evaluate["exact_accuracy"], **passes}


def _submit_left_out(file: Path, read: NewTasks) -> None:
    """Every task must be in a submission, also one that cannot be right."""
    nothing = {"attempt_1": [[0]], "attempt_2": [[0]]}
    missing = {name: [nothing] * len(task.test) for name, task in read.too_large.items()}
    if missing:
        write_json(file, {**read_json(file), **missing})
