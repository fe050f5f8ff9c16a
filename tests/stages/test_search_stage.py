"""`hrm search` on a small model, from the command line."""

import json
from pathlib import Path

import pytest
import small_run

from hrm.cli import main
from hrm.config import EvaluateSettings, SearchSettings, VoteSettings
from hrm.errors import UserError
from hrm.stages import search as search_stage
from hrm.stages.evaluate import evaluate
from hrm.stages.search import search
from hrm.stages.vote import vote

TRIED = SearchSettings(copies=3, starts=2, noise=2.0, max_puzzles=2, target=0.5)


def test_tries_everything_once_and_leaves_figures(tmp_path: Path) -> None:
    dataset, run = small_run.sudoku_dataset(tmp_path), tmp_path / "run"
    small_run.write_checkpoint(run / "checkpoints", dataset, small_run.SETTINGS, steps=60)
    said = search(TRIED, EvaluateSettings(), dataset.path, run / "checkpoints", run, "small")
    found = json.loads((run / "search.json").read_text())
    assert (found["puzzles_choosing"], found["puzzles"]) == (1, 1)
    keys = ("steps", "max_steps", "copies", "starts", "checkpoints", "rule")
    tried = [tuple(one[key] for key in keys) for one in found["settings"]]
    assert len(tried) == len(set(tried)) == 2 * 2 * 3 * 2 * 4
    of_max = [one for one in found["settings"] if one["steps"] == "max"]
    assert all(one["segments"] == one["max_steps"] * one["copies"] * one["starts"] for one in of_max)
    assert "puzzles that did not choose" in said
    assert said.splitlines()[-2].split(":")[0] in (run / "search.html").read_text()
    assert sorted(path.name for path in run.iterdir() if path.name != "checkpoints") == [
        "search.html",
        "search.json",
        "search.provenance.json",
    ]


def test_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, run = small_run.sudoku_dataset(tmp_path), tmp_path / "run"
    small_run.write_checkpoint(run / "checkpoints", dataset, small_run.SETTINGS, steps=1)
    told: list[str] = []
    monkeypatch.setattr("hrm.stages.search.note", told.append)
    search(TRIED, EvaluateSettings(), dataset.path, run / "checkpoints", run, "small")
    assert [line for line in told if line.startswith("search ")] == [
        "search 1 of 4: steps=max, at most 2 segments",
        "search 2 of 4: steps=max, at most 4 segments",
        "search 3 of 4: steps=halt, at most 2 segments",
        "search 4 of 4: steps=halt, at most 4 segments",
    ]


def test_a_setting_named_gives_the_figure_that_it_was_named_for(tmp_path: Path) -> None:
    dataset, run = small_run.sudoku_dataset(tmp_path), tmp_path / "run"
    small_run.write_checkpoint(run / "checkpoints", dataset, small_run.SETTINGS, steps=60)
    search(TRIED, EvaluateSettings(), dataset.path, run / "checkpoints", run, "small")
    last = json.loads((run / "search.json").read_text())["settings"][-1]
    asked = {key: last[key] for key in ("steps", "max_steps", "copies", "starts", "noise", "checkpoints")}
    evaluate(EvaluateSettings(**asked, max_puzzles=2), dataset.path, run / "checkpoints", run)
    vote(VoteSettings(rule=last["rule"]), dataset.path, run, "small")
    scores = json.loads((run / "vote.json").read_text())
    assert scores["valid@1"] == (last["solved"] + last["solved_choosing"]) / 2


def test_two_at_once_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, run = small_run.sudoku_dataset(tmp_path), tmp_path / "run"
    small_run.write_checkpoint(run / "checkpoints", dataset, small_run.SETTINGS, steps=1)

    def second(*_: object) -> None:
        search(TRIED, EvaluateSettings(), dataset.path, run / "checkpoints", run, "small")

    monkeypatch.setattr(search_stage, "evaluate", second)
    with pytest.raises(UserError, match="searching: another `hrm search` is at work here"):
        second()


def test_refuses_a_single_task(tmp_path: Path) -> None:
    dataset, run = small_run.arc_dataset(tmp_path), tmp_path / "run"
    small_run.write_checkpoint(run / "checkpoints", dataset, small_run.SETTINGS, steps=1)
    with pytest.raises(UserError, match=r"search\.max_puzzles take two"):
        search(TRIED, EvaluateSettings(), dataset.path, run / "checkpoints", run, "small")


def test_the_target_is_a_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    options = ["--params", str(root / "params.yaml"), "--target", "1.5"]
    assert main(["search", "sudoku-mini", *options]) == 2
    assert "search.target" in capsys.readouterr().err
