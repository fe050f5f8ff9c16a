"""What a version's page says about asking its model for more."""

import json
from pathlib import Path

import numpy as np
import pytest
import small_run

from hrm.config import BuildSettings, EvaluateSettings, VoteSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.trace import open_trace
from hrm.puzzles import Sudoku
from hrm.serving.gains import gains
from hrm.serving.solve import solve_puzzles
from hrm.stages.evaluate import evaluate
from hrm.stages.vote import vote
from hrm.training.card import load_model


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """A dataset, and a run on it whose model knows some answers by heart; four copies of each puzzle were asked."""
    folder = tmp_path_factory.mktemp("gains")
    small_run.sudoku_dataset(folder)
    raw = folder / "raw/small"
    header, *known = (raw / "train.csv").read_text().splitlines()
    # The training puzzles with one more clue.
    tests = [
        f"{source},{question[:cell]}{answer[cell]}{question[cell + 1 :]},{answer},{rating}"
        for source, question, answer, rating in (line.split(",") for line in known)
        for cell in range(16)
        if question[cell] == "."
    ]
    (raw / "test.csv").write_text("\n".join([header, *tests]) + "\n")
    build_dataset(BuildSettings(puzzle=Sudoku(box=(2, 2)), sources=["small"]), folder / "raw", folder / "mixed")
    dataset = open_dataset(folder / "mixed")
    run = small_run.finished_run(folder / "run", dataset, steps=150)
    evaluate(EvaluateSettings(copies=4), dataset.path, run / "checkpoints", run)
    return dataset, run


def told_of(folder: Path, dataset: Dataset) -> str:
    return gains(open_predictions(folder, dataset), open_trace(folder, dataset.puzzle.canvas), dataset)


def rows(table: str) -> dict[str, tuple[str, str]]:
    """What is right, and of how many, by what was asked."""
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {asked: (right, of) for asked, right, _, of in cells}


def test_each_figure_is_what_the_model_says_when_it_is_asked_so(half_trained: tuple[Dataset, Path]) -> None:
    dataset, run = half_trained
    told = rows(told_of(run / "predictions", dataset))
    asked = [f'`{{"steps": {steps}}}`' for steps in (1, 2)]
    asked += [f'`{{"votes": {votes}{rule}}}`' for votes in (2, 4) for rule in ("", ', "rule": "valid"')]
    assert list(told) == asked
    questions = [dataset.test.questions.grid(row) for row in range(len(dataset.test))]
    for steps in (1, 2):
        solved = solve_puzzles(load_model(run / "checkpoints"), questions, steps=steps)
        right = np.mean([np.array_equal(one.answer, dataset.test.answers.grid(row)) for row, one in enumerate(solved)])
        assert told[f'`{{"steps": {steps}}}`'] == (f"{right:.1%}", f"{len(questions)} test puzzles")
    for copies in (2, 4):
        for rule, named in (("votes", ""), ("valid", ', "rule": "valid"')):
            vote(VoteSettings(ks=(1,), rule=rule, max_copies=copies), dataset.path, run, "small")
            scores = json.loads((run / "vote.json").read_text())
            assert told[f'`{{"votes": {copies}{named}}}`'][0] == f"{scores['pass@1']:.1%}"
    assert len({right for right, _ in told.values()}) > 1


def test_what_was_not_measured_is_not_told(half_trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, run = half_trained
    halted = EvaluateSettings(copies=1, steps="halt")
    evaluate(halted, dataset.path, run / "checkpoints", tmp_path)
    steps = open_predictions(tmp_path / "predictions", dataset).steps
    assert (told_of(tmp_path / "predictions", dataset) == "") == bool((steps < steps.max()).any())
    small_run.write_predictions(tmp_path / "alone", dataset, [True, False])
    assert told_of(tmp_path / "alone", dataset) == ""
