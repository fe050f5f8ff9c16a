"""The vote stage after the evaluate stage."""

import json
import shutil
from pathlib import Path

import pytest
import small_run
from made_up import answered

from hrm.artifacts import digest
from hrm.config import EvaluateSettings, VoteSettings
from hrm.config.vote import Rule
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation.predictions import write_about, write_part
from hrm.evaluation.vote import RANKED
from hrm.stages.evaluate import evaluate
from hrm.stages.vote import vote


@pytest.fixture(scope="module")
def evaluated(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("evaluated") / "run"
    small_run.write_checkpoint(run / "checkpoints", sudoku, small_run.SETTINGS, steps=60)
    evaluate(EvaluateSettings(copies=5), sudoku.path, run / "checkpoints", run)
    return run


@pytest.fixture
def run(evaluated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated, tmp_path / "run"))


def test_writes_answers_scores_and_report(sudoku: Dataset, run: Path) -> None:
    vote(VoteSettings(ks=[1, 3]), sudoku.path, run, "small")
    scores = json.loads((run / "vote.json").read_text())
    assert list(scores) == ["pass@1", "pass@3", "valid@1", "tasks", "test_inputs", "votes", "predictions"]
    assert 0 <= scores["pass@1"] <= scores["pass@3"] <= 1
    assert (scores["tasks"], scores["votes"], scores["predictions"]) == (3, 5, 15)
    answers = json.loads((run / "answers/answers.json").read_text())["answers"]
    ranks = [entry["truth_rank"] for entry in answers]
    assert scores["pass@1"] == pytest.approx(ranks.count(1) / 3)
    assert all(sum(best["votes"] for best in entry["best"]) == entry["votes"] == 5 for entry in answers)
    report = (run / "report.html").read_text()
    assert "<h1>small</h1>" in report
    assert "up to 5 answers to each vote" in report
    assert "Candidates are ranked by votes, then by the model's own confidence." in report
    assert json.loads((run / "vote.provenance.json").read_text())["inputs"]["dataset"] == sudoku.digest


def test_first_copies_only(sudoku: Dataset, run: Path) -> None:
    vote(VoteSettings(max_copies=1), sudoku.path, run, "small")
    scores = json.loads((run / "vote.json").read_text())
    assert (scores["votes"], scores["predictions"]) == (1, 3)
    # One answer a puzzle: voting says what the evaluation said.
    assert scores["pass@1"] == scores["pass@1000"]
    assert scores["pass@1"] == json.loads((run / "evaluate.json").read_text())["exact_accuracy"]


def test_the_same_work_gives_the_same_artifacts(sudoku: Dataset, run: Path) -> None:
    vote(VoteSettings(), sudoku.path, run, "small")
    before = digest(run)
    vote(VoteSettings(), sudoku.path, run, "small")
    assert digest(run) == before


def test_arc_writes_a_submission(arc: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", arc, small_run.SETTINGS, steps=1)
    evaluate(EvaluateSettings(), arc.path, tmp_path / "checkpoints", tmp_path / "run")
    vote(VoteSettings(), arc.path, tmp_path / "run", "small")
    assert "arc_prize" in json.loads((tmp_path / "run/vote.json").read_text())
    submission = json.loads((tmp_path / "run/answers/submission.json").read_text())
    assert list(submission) == ["bb"]
    for attempts in submission["bb"]:
        assert list(attempts) == ["attempt_1", "attempt_2"]
        for grid in attempts.values():
            assert 1 <= len(grid) <= 30
            assert len({len(row) for row in grid}) == 1
            assert all(cell in range(10) for row in grid for cell in row)


@pytest.mark.parametrize("lost", ["predictions", "evaluate.json"])
def test_refuses_a_run_that_was_not_evaluated(sudoku: Dataset, run: Path, lost: str) -> None:
    shutil.rmtree(run / lost) if lost == "predictions" else (run / lost).unlink()
    with pytest.raises(UserError, match=lost):
        vote(VoteSettings(), sudoku.path, run, "small")
    assert not [path for path in run.iterdir() if path.name in ("answers", "vote.json", "report.html")]


def test_refuses_predictions_of_another_dataset(arc: Dataset, run: Path) -> None:
    with pytest.raises(UserError, match="another dataset"):
        vote(VoteSettings(), arc.path, run, "small")
    assert not (run / "answers").exists()


@pytest.mark.parametrize(("rule", "solved"), [("votes", 0), ("weighted", 0), ("confidence", 1), ("valid", 1)])
def test_the_rule_ranks(sudoku: Dataset, run: Path, rule: Rule, solved: float) -> None:
    """Of three copies, two are sure of the same wrong answer, and one is surer of the right one."""
    copies = answered(sudoku, copies=3)
    shutil.rmtree(run / "predictions")
    (run / "predictions").mkdir()
    write_part(run / "predictions", 0, copies.predictions([False, False, True] * 3, [1.0, 1.0, 2.0] * 3))
    write_about(run / "predictions", {"dataset_digest": sudoku.digest}, 9)
    vote(VoteSettings(rule=rule), sudoku.path, run, "small")
    assert json.loads((run / "vote.json").read_text())["pass@1"] == solved
    assert f"Candidates are ranked {RANKED[rule]}." in (run / "report.html").read_text()


def test_refuses_a_rule_that_does_not_apply(arc: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path / "checkpoints", arc, small_run.SETTINGS, steps=1)
    evaluate(EvaluateSettings(), arc.path, tmp_path / "checkpoints", tmp_path / "run")
    with pytest.raises(UserError, match="no rule tells"):
        vote(VoteSettings(rule="valid"), arc.path, tmp_path / "run", "small")
    assert not (tmp_path / "run/vote.json").exists()
