"""A folder in the published layout goes through the chain as it is."""

import json
from pathlib import Path

import pytest
import small_run
from pydantic import ValidationError

from hrm.config import BuildSettings, EvaluateSettings, VoteSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.puzzles import Arc
from hrm.stages.build import build
from hrm.stages.evaluate import evaluate
from hrm.stages.export import export
from hrm.stages.train import train
from hrm.stages.vote import vote


@pytest.mark.parametrize(
    ("make", "copies"), [(small_run.arc_dataset, None), (small_run.sudoku_dataset, 2)], ids=["arc", "sudoku"]
)
def test_it_trains_and_evaluates(make, copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)
    ours: Dataset = make(tmp_path / "ours")
    export(ours.path, tmp_path / "published")
    settings = BuildSettings(puzzle=ours.puzzle, published=tmp_path / "published")
    build(settings, tmp_path / "raw", tmp_path / "built")
    record = json.loads((tmp_path / "built.provenance.json").read_text())
    assert set(record["inputs"]) == {"published"}
    run = tmp_path / "run"
    short = small_run.SETTINGS.model_copy(update={"epochs": 2, "eval_every": 2})
    train(short, tmp_path / "built", run, "theirs")
    evaluate(EvaluateSettings(copies=copies), tmp_path / "built", run / "checkpoints", run)
    vote(VoteSettings(), tmp_path / "built", run, "theirs")
    scores = json.loads((run / "vote.json").read_text())
    tests = len(open_dataset(tmp_path / "built").test)
    assert scores["test_inputs"] == tests == len(ours.test)
    assert scores["predictions"] == tests * (copies or 3)


def test_what_cannot_be_asked_of_a_published_folder() -> None:
    with pytest.raises(ValidationError, match="variants cannot change a published folder"):
        BuildSettings(puzzle=Arc(), published=Path("folder"), variants=3)
    for origins in ({}, {"sources": ["arc-agi-1"], "published": Path("folder")}):
        with pytest.raises(ValidationError, match="give either sources or published"):
            BuildSettings.model_validate({"puzzle": Arc(), **origins})
