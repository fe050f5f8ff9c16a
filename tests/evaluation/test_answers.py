"""The answers artifact and the ARC Prize's file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from made_up import Answered

from hrm.data.dataset import Dataset
from hrm.evaluation.answers import ordinals_in_group, submission, write_answers
from hrm.evaluation.vote import Ranking, vote
from hrm.puzzles.base import Examples, Grids


def several_inputs(dataset: Dataset, count: int) -> Dataset:
    """The dataset with its one test example taken several times."""
    test = dataset.test
    rows = np.zeros(count, np.int64)
    examples = Examples(test.questions.take(rows), test.answers.take(rows), test.groups[rows], test.ratings[rows])
    return dataclasses.replace(dataset, test=examples)


def with_answers(ranking: Ranking, answers: Grids) -> Ranking:
    return dataclasses.replace(ranking, answers=answers)


def test_answers_are_ranked_and_readable(sudoku: Dataset, sudoku_answered: Answered, tmp_path: Path) -> None:
    ranking = sudoku_answered.ranking([True, True, False, True, False, False], [0, 0, 2, 1, 0, 0])
    write_answers(tmp_path / "answers", ranking, sudoku)
    assert [path.name for path in (tmp_path / "answers").iterdir()] == ["answers.json"]
    content = json.loads((tmp_path / "answers/answers.json").read_text())
    assert content["puzzle"] == {"kind": "sudoku", "box": [2, 2]}
    first, second, third = content["answers"]
    assert [entry["group"] for entry in content["answers"]] == [
        sudoku.names[int(group)] for group in sudoku.test.groups
    ]
    questions = [sudoku.puzzle.format(sudoku.test.questions.grid(row)) for row in range(3)]
    assert [entry["question"] for entry in content["answers"]] == questions
    truth = sudoku.puzzle.format(sudoku.test.answers.grid(0))
    assert first["best"] == [{"answer": truth, "votes": 2, "confidence": 0.5}]
    assert (first["votes"], first["different"], first["truth_rank"]) == (2, 1, 1)
    assert (second["votes"], second["different"], second["truth_rank"]) == (2, 2, 2)
    assert second["best"][1]["answer"] == sudoku.puzzle.format(sudoku.test.answers.grid(1))
    assert third["truth_rank"] is None


def test_submission_has_two_attempts_for_every_test_input(arc: Dataset, arc_answered: Answered) -> None:
    dataset = several_inputs(arc, 3)
    assert ordinals_in_group(dataset).tolist() == [0, 1, 2]
    ranking = arc_answered.ranking([True, False, False], [1, 0, 0])
    best, other = (ranking.answers.grid(row).tolist() for row in (0, 1))
    # Only the second of three inputs was evaluated.
    ranking = dataclasses.replace(ranking, examples=np.array([1]))
    nothing = {"attempt_1": [[0]], "attempt_2": [[0]]}
    assert submission(ranking, dataset) == {"bb": [nothing, {"attempt_1": best, "attempt_2": other}, nothing]}


def test_a_single_answer_is_given_twice(arc: Dataset, arc_answered: Answered) -> None:
    ranking = arc_answered.ranking([True, True, True])
    truth = arc.test.answers.grid(0).tolist()
    assert submission(ranking, arc) == {"bb": [{"attempt_1": truth, "attempt_2": truth}]}


def test_empty_answers_are_never_submitted(arc: Dataset, arc_answered: Answered) -> None:
    ranking = arc_answered.ranking([True, False, False], [1, 0, 0])
    second = ranking.answers.grid(1).tolist()
    shapes = ranking.answers.shapes.copy()
    shapes[0] = 0
    assert submission(with_answers(ranking, Grids(ranking.answers.cells, shapes)), arc) == {
        "bb": [{"attempt_1": second, "attempt_2": second}]
    }
    shapes[1] = 0
    assert submission(with_answers(ranking, Grids(ranking.answers.cells, shapes)), arc) == {
        "bb": [{"attempt_1": [[0]], "attempt_2": [[0]]}]
    }


def test_submission_is_written_for_arc(arc: Dataset, arc_answered: Answered, tmp_path: Path) -> None:
    ranking = arc_answered.ranking([True, False, False])
    write_answers(tmp_path / "answers", ranking, arc)
    assert json.loads((tmp_path / "answers/submission.json").read_text()) == submission(ranking, arc)
    assert (tmp_path / "answers/tasks.csv").read_text() == "task,test_inputs,pass_from_k,arc_prize\nbb,1,2,1\n"


def test_ten_answers_are_kept(arc: Dataset, arc_answered: Answered) -> None:
    predictions = arc_answered.predictions([True] * 3)
    ranking = vote(
        arc.puzzle,
        arc.test.answers,
        predictions.answers,
        predictions.examples,
        # Each wrong way of mapping back makes another answer of the same one.
        arc.puzzle.sample(3, np.random.default_rng(0)),
        predictions.q_halt,
        keep=2,
    )
    assert (ranking.num_candidates.tolist(), len(ranking.kept(0)), len(ranking.answers)) == ([3], 2, 2)
