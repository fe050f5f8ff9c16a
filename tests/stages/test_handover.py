"""A run's folder in parts, and put together again; the best of several."""

import json
import os
from pathlib import Path

import pytest
import small_run

from hrm.artifacts import digest
from hrm.config import EvaluateSettings, TrainSettings
from hrm.errors import UserError
from hrm.stages.choose import best, ranking
from hrm.stages.handover import TRAINED, VOTED, gathered, hand_over, settings_of, workspace


def test_parts_make_the_run_again(tmp_path: Path) -> None:
    run = small_run.finished_run(tmp_path / "run", small_run.sudoku_dataset(tmp_path))
    before = digest(run)
    evaluated = ("predictions", "evaluate.json", "evaluate.provenance.json")
    parts = {"model": TRAINED, "evaluation": evaluated, "answers": VOTED}
    for name, files in parts.items():
        hand_over(run, files, tmp_path / "parts" / name)
    assert {path.name for path in (tmp_path / "parts/evaluation").iterdir()} == set(evaluated)
    with gathered(*(tmp_path / "parts" / name for name in parts)) as whole:
        assert digest(whole) == before
        (whole / "train.json").unlink()
    assert digest(run) == before
    assert not whole.exists()
    assert (tmp_path / "parts/model/train.json").is_file()


def test_an_artifact_is_whole_or_absent(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/train.json").write_text("{}")
    (tmp_path / "model").write_text("a file is in the way")
    with pytest.raises(UserError, match="in the place of"):
        hand_over(tmp_path / "run", TRAINED, tmp_path / "model")
    assert (tmp_path / "model").read_text() == "a file is in the way"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "run"]


def test_a_workspace_goes_whatever_happens() -> None:
    with pytest.raises(KeyboardInterrupt), workspace() as run:
        (run / "half").write_text("x")
        raise KeyboardInterrupt
    assert not run.exists()


def test_settings_survive_a_framework_that_knows_floats_alone() -> None:
    settings = TrainSettings(batch_size=96, processes=8)
    block = json.loads(json.dumps(settings.model_dump(mode="json", exclude_none=True)), parse_int=float)
    assert settings_of(TrainSettings, block) == settings
    with pytest.raises(UserError, match="EvaluateSettings: copies = 0"):
        settings_of(EvaluateSettings, {"copies": 0.0})


def scored(folder: Path, exact_accuracy: float) -> list[Path]:
    folder.mkdir()
    rest = {"exact_accuracy_low": 0.0, "exact_accuracy_high": 1.0, "token_accuracy": 0.5, "count": 4}
    (folder / "evaluate.json").write_text(json.dumps({"exact_accuracy": exact_accuracy, **rest}))
    return [folder]


def test_the_best_is_chosen_and_the_first_of_equals(tmp_path: Path) -> None:
    runs = [scored(tmp_path / str(place), score) for place, score in enumerate([0.25, 0.75, 0.75, 0.5])]
    assert best(runs, "exact_accuracy") == (1, [0.25, 0.75, 0.75, 0.5])
    with pytest.raises(UserError, match=r"metric = pass@9: no such score; there are exact_accuracy"):
        best(runs, "pass@9")
    with pytest.raises(UserError, match="nothing to choose from"):
        best([], "exact_accuracy")
    assert ranking(["a", "b"], [0.25, 0.5], "m").splitlines()[2:] == ["| b | 50.0% |", "| a | 25.0% |"]


@pytest.mark.parametrize("kind", ["file", "folder", "loop", "dangling", "pipe"])
def test_an_artifact_that_leads_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    """Whoever made it does not get a file of this machine into the registry."""
    artifact, secret = tmp_path / "model", tmp_path / "secret"
    artifact.mkdir()
    secret.write_text("token")
    if kind == "pipe":
        os.mkfifo(artifact / "curves.csv")
    else:
        aims = {"file": secret, "folder": tmp_path, "loop": artifact, "dangling": tmp_path / "absent"}
        (artifact / "curves.csv").symlink_to(aims[kind])
    with pytest.raises(UserError, match=r"model/curves\.csv: a link or no file"), gathered(artifact):
        pass


def test_a_run_with_a_link_is_not_chosen_from(tmp_path: Path) -> None:
    (folder,) = scored(tmp_path / "run", 0.5)
    (folder / "vote.json").symlink_to(folder / "evaluate.json")
    with pytest.raises(UserError, match="a link or no file"):
        best([[folder]], "exact_accuracy")
