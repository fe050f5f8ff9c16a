"""`hrm adapt` on a family of tasks that can be learned: answers get better, and nothing is left half-written."""

import csv
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import small_run
from safetensors.torch import load_file

from benchmarks import adapt as adapt_benchmark
from benchmarks.arc_family import write_tasks
from hrm.cli import main
from hrm.config import (
    AdaptSettings,
    BuildSettings,
    Experiment,
    RegisterSettings,
)
from hrm.data.build import build_dataset
from hrm.data.dataset import open_dataset
from hrm.errors import UserError
from hrm.stages import adapt as adapt_stage
from hrm.stages.adapt import adapt
from hrm.stages.train import train
from hrm.training.card import load_model

TRAIN = adapt_benchmark.TRAIN.model_copy(update={"epochs": 140})
QUICK = AdaptSettings(steps=60, batch_size=64, puzzle_lr=0.1, variants=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that has learned some tasks of the family, and their dataset."""
    folder = tmp_path_factory.mktemp("base")
    write_tasks(folder / "raw/family/training", 30, seed=1)
    write_tasks(folder / "raw/family/evaluation", 1, seed=2)
    build_dataset(adapt_benchmark.BUILD, folder / "raw", folder / "built")
    train(TRAIN, folder / "built", folder / "run", "family")
    return folder


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_tasks(folder, 20, seed=3)
    return folder


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is warned of, whatever a command line before has done to the logger."""
    monkeypatch.setattr(logging.getLogger("hrm"), "propagate", True)
    return caplog


def adapted(base: Path, tasks: Path, out: Path, settings: AdaptSettings = QUICK) -> dict[str, Any]:
    """What `adapt.json` says."""
    experiment = Experiment(
        name="family",
        sources={},
        build=BuildSettings(puzzle=adapt_benchmark.BUILD.puzzle, sources=["family"]),
        register=RegisterSettings(description="a test"),
        adapt=settings,
    )
    adapt(experiment, [tasks], base / "run/checkpoints", base / "built", out)
    done: dict[str, Any] = json.loads((out / "adapt.json").read_text())
    return done


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_adapting_solves_held_out_tasks(base: Path, tasks: Path, tmp_path: Path) -> None:
    before = adapted(base, tasks, tmp_path / "before", QUICK.model_copy(update={"steps": 0}))
    after = adapted(base, tasks, tmp_path / "after")
    assert before["pass@2"] <= 0.5
    assert after["pass@2"] >= 0.9
    assert (after["tasks"], after["variants"], after["demonstrations"], after["test_inputs"]) == (20, 60, 60, 20)
    assert after["visits"] == pytest.approx(60 * 64 / 180, abs=0.01)
    assert after["curve"][-1]["token_loss"] < after["curve"][0]["token_loss"]
    scores = json.loads((tmp_path / "after/vote.json").read_text())
    assert (scores["pass@2"], scores["votes"]) == (after["pass@2"], 3)
    assert json.loads((tmp_path / "after/evaluate.json").read_text())["count"] == 20
    assert "family, adapted" in (tmp_path / "after/report.html").read_text()
    assert (
        load_model(tmp_path / "after/checkpoints").card.dataset_digest
        == open_dataset(tmp_path / "after/dataset").digest
    )
    assert not list(tmp_path.glob("*.part"))


def hide(tasks: Path, folder: Path, *hidden: str) -> Path:
    """The tasks, some of them without outputs."""
    shutil.copytree(tasks, folder)
    for name in hidden:
        file = folder / f"{name}.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "test": [{"input": pair["input"]} for pair in content["test"]]}))
    return folder


def test_outputs_that_are_given_change_no_answer(base: Path, tasks: Path, tmp_path: Path) -> None:
    known = adapted(base, tasks, tmp_path / "known")
    every = [file.stem for file in tasks.iterdir()]
    asked = adapted(base, hide(tasks, tmp_path / "asked", *every), tmp_path / "unknown")
    submissions = [tmp_path / name / "answers/submission.json" for name in ("known", "unknown")]
    assert submissions[0].read_text() == submissions[1].read_text()
    assert json.loads(submissions[0].read_text()).keys() == set(every)
    assert "pass@2" in known
    assert "pass@2" not in asked
    assert not (tmp_path / "unknown/vote.json").exists()
    page = (tmp_path / "unknown/answers.html").read_text()
    assert page == (tmp_path / "known/answers.html").read_text()
    assert page.count("Demonstration 3") == 2 * page.count("Test input<") == 40
    assert page.count("First answer") == 20
    assert json.loads((tmp_path / "unknown/evaluate.json").read_text())["count"] == 0
    answers = json.loads((tmp_path / "unknown/answers/answers.json").read_text())["answers"]
    assert all(entry["truth_rank"] is None for entry in answers)


def test_a_task_without_outputs_and_one_too_large_are_submitted_and_not_scored(
    base: Path, tasks: Path, tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    mixed = hide(tasks, tmp_path / "mixed", "paint-3-0")
    pair = {"input": [[1] * 4], "output": [[2] * 4]}
    (mixed / "large.json").write_text(json.dumps({"train": [pair], "test": [pair, pair]}))
    done = adapted(base, mixed, tmp_path / "out", QUICK.model_copy(update={"steps": 3, "variants": 0}))
    assert (done["tasks"], done["scored_tasks"], done["left_out_too_large"]) == (20, 19, ["large"])
    assert "large: a side of 4 cells is more than the model's canvas of 3" in warnings.text
    submission = json.loads((tmp_path / "out/answers/submission.json").read_text())
    assert submission["large"] == [{"attempt_1": [[0]], "attempt_2": [[0]]}] * 2
    assert len(submission) == 21


def test_a_task_that_was_trained_on_is_named(
    base: Path, tasks: Path, tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    mixed = Path(shutil.copytree(tasks, tmp_path / "mixed"))
    shutil.copy(base / "raw/family/training/paint-1-7.json", mixed / "mine.json")
    done = adapted(base, mixed, tmp_path / "out", QUICK.model_copy(update={"steps": 0, "variants": 0}))
    assert done["trained_already"] == {"mine": "paint-1-7"}
    assert "mine: the model was trained on this task, as paint-1-7" in warnings.text


def test_an_empty_answer_is_no_match_for_an_unknown_one(base: Path, tasks: Path, tmp_path: Path) -> None:
    (folder,) = Path(shutil.copytree(base / "run/checkpoints", tmp_path / "run/checkpoints")).iterdir()
    weights = load_file(folder / "model.safetensors")
    weights["output_head.weight"].zero_()  # every token is as likely as the pad token, which goes first
    small_run.write_weights(folder, weights)
    asked = hide(tasks, tmp_path / "asked", *(file.stem for file in tasks.iterdir()))
    adapted(tmp_path, asked, tmp_path / "out", QUICK.model_copy(update={"steps": 0}))
    answers = json.loads((tmp_path / "out/answers/answers.json").read_text())["answers"]
    assert {(best["answer"], best["votes"]) for entry in answers for best in entry["best"]} == {("[]", 3)}
    assert all(entry["truth_rank"] is None for entry in answers)


def test_the_command(base: Path, tasks: Path, tmp_path: Path) -> None:
    shutil.copytree(base / "run/checkpoints", tmp_path / "runs/family/checkpoints")
    experiment = {"build": {"puzzle": {"kind": "arc", "canvas_size": 3}, "sources": ["family"], "variants": 1}}
    experiment |= {"register": {"description": "a test"}, "adapt": {"steps": 1}}
    source = {"origin": "folder", "path": str(tasks), "kind": "arc"}
    params = {"run": ["family"], "sources": {"family": source}, "experiments": {"family": experiment}}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    files = sorted(str(file) for file in tasks.iterdir())[:3]
    arguments = ["adapt", "family", "--params", str(tmp_path / "params.yaml"), "-o", "adapt.batch_size=4", "--tasks"]
    assert main([*arguments, *files]) == 0
    done = json.loads((tmp_path / "runs/family/adapted/adapt.json").read_text())
    assert (done["tasks"], done["variants"], done["settings"]["steps"], done["settings"]["variants"]) == (3, 6, 1, 1)
    assert main([*arguments, files[0], "--out", str(tmp_path / "elsewhere")]) == 0
    assert json.loads((tmp_path / "elsewhere/adapt.json").read_text())["settings"]["batch_size"] == 4


def test_an_interrupted_adaptation_leaves_the_old_answers_and_goes_on(
    base: Path, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    adapted(base, tasks, out, QUICK.model_copy(update={"steps": 2}))
    before = contents(out)
    settings = QUICK.model_copy(update={"steps": 3})

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    for step in ("learn", "evaluate", "answer"):
        with monkeypatch.context() as patch:
            patch.setattr(adapt_stage, step, stopped)
            with pytest.raises(KeyboardInterrupt):
                adapted(base, tasks, out, settings)
        assert contents(out) == before
    with monkeypatch.context() as patch:
        patch.setattr(adapt_stage, "learn", stopped)  # what was learned is not learned again
        resumed = adapted(base, tasks, out, settings)
    assert not (tmp_path / "out.part").exists()
    uninterrupted = adapted(base, tasks, tmp_path / "other", settings)
    assert {**resumed, "seconds": 0} == {**uninterrupted, "seconds": 0}
    same = {name for name in contents(out) if name.startswith(("answers", "predictions", "checkpoints", "dataset"))}
    assert {name: contents(out)[name] for name in same} == {name: contents(tmp_path / "other")[name] for name in same}


def test_other_settings_do_not_go_on_with_what_was_learned(
    base: Path, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adapt_stage, "evaluate", stopped)
        with pytest.raises(KeyboardInterrupt):
            adapted(base, tasks, tmp_path / "out", QUICK.model_copy(update={"steps": 2}))
    done = adapted(base, tasks, tmp_path / "out", QUICK.model_copy(update={"steps": 4}))
    assert done["curve"][-1]["step"] == 4


def test_other_kinds_need_no_adaptation(tmp_path: Path, tasks: Path) -> None:
    data = small_run.sudoku_dataset(tmp_path)
    small_run.write_checkpoint(tmp_path / "run/checkpoints", data, small_run.SETTINGS, steps=0)
    with pytest.raises(UserError, match="a Sudoku needs no adaptation: `hrm solve` answers any"):
        adapted(tmp_path, tasks, tmp_path / "out")
    assert not (tmp_path / "out.part").exists()


def test_a_task_may_be_called_anything(base: Path, tasks: Path, tmp_path: Path) -> None:
    name = '../a, "b"'
    task = json.loads(next(tasks.glob("*.json")).read_text())
    (tmp_path / "all.json").write_text(json.dumps({name: task}))
    adapted(base, tmp_path / "all.json", tmp_path / "out", QUICK.model_copy(update={"steps": 0}))
    with (tmp_path / "out/answers/tasks.csv").open(newline="") as stream:
        assert [row["task"] for row in csv.DictReader(stream)] == [name]


def test_never_replaces_what_it_did_not_write(base: Path, tasks: Path, tmp_path: Path) -> None:
    """Such as the folder of the run itself, with the trained model."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep me")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "other.part").mkdir()
    (tmp_path / "other.part/letter.txt").write_text("keep me")
    before = contents(tmp_path), contents(base)
    for place in ("mine", "mine/letter.txt", "link", "other", "mine/.."):
        with pytest.raises(UserError, match="did not write"):
            adapted(base, tasks, tmp_path / place, QUICK.model_copy(update={"steps": 0}))
    with pytest.raises(UserError, match="run: holds what"):
        adapted(base, tasks, base / "run")
    for place in (Path(), Path("/")):
        with pytest.raises(UserError, match="name a new folder"):
            adapted(base, tasks, place)
    assert (contents(tmp_path), contents(base)) == before


def test_two_at_once_do_not_mix(base: Path, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(*_: object) -> None:
        adapted(base, tasks, tmp_path / "out")

    monkeypatch.setattr(adapt_stage, "evaluate", second)
    with pytest.raises(UserError, match="out: another `hrm adapt` is at work here; wait for it, or end it"):
        adapted(base, tasks, tmp_path / "out", QUICK.model_copy(update={"steps": 1}))


@pytest.mark.parametrize("damage", ["adapt.json", "no key", "[1]", "checkpoints"])
def test_learns_again_what_an_interruption_left_damaged(
    base: Path, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    settings = QUICK.model_copy(update={"steps": 3})
    whole = adapted(base, tasks, tmp_path / "whole", settings)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(adapt_stage, "evaluate", killed)
        adapted(base, tasks, tmp_path / "out", settings)
    record = tmp_path / "out.part/adapt.json"
    if damage == "checkpoints":
        shutil.rmtree(tmp_path / "out.part/checkpoints")
    elif damage == "no key":
        done = json.loads(record.read_text())
        record.write_text(json.dumps({key: value for key, value in done.items() if key != "visits"}))
    else:
        record.write_text(damage.removesuffix("adapt.json"))
    again = adapted(base, tasks, tmp_path / "out", settings)
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}
