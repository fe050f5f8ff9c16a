"""Pipelines on this machine, as a person starts them."""

import json
import os
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from kfp import compiler, dsl
from local_pipeline import artifacts, pipelines
from mlflow import MlflowClient

from hrm.config import VoteSettings
from hrm.data.dataset import open_dataset
from hrm.evaluation.score import score_names
from pipelines import local

Trained = tuple[Path, str]


def registry(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def test_source_to_registry(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = trained
    version = registry(folder).get_model_version_by_alias("sudoku-mini", "champion")
    assert version.version == 1
    dataset = open_dataset(Path(artifacts(folder, "build")["dataset"]["uri"]))
    assert version.tags["dataset_digest"] == dataset.digest
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/sudoku-mini@champion")
    question = dataset.puzzle.format(dataset.test.questions.grid(0))
    assert len(model.predict(pd.DataFrame({"puzzle": [question]}))["answer"][0]) == 16


def test_a_pipeline_that_succeeded_left_no_failed_run(trained: Trained) -> None:
    client = registry(trained[0])
    (experiment,) = (found for found in client.search_experiments() if found.name == "sudoku-mini")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert client.get_model_version_by_alias("sudoku-mini", "champion").tags["pipeline_run"]


def test_a_run_says_little_and_all_of_it_behind_its_step(trained: Trained) -> None:
    _, said = trained
    lines = said.splitlines()
    steps = [line.partition("|")[0].strip() for line in lines if " | " in line]
    assert list(dict.fromkeys(steps)) == ["fetch", "build", "train", "evaluate", "vote", "register"]
    assert len(lines) < 20
    assert "KFP" not in said
    assert "register | sudoku-mini version 1: champion, challenger" in said
    assert lines[-2].endswith("/vote/report: the report")


def test_nothing_lies_about_but_the_artifacts_and_the_registry(trained: Trained) -> None:
    """Every step has an empty folder of its own: what it needs came to it as an artifact."""
    folder, _ = trained
    assert {path.name for path in folder.iterdir()} == {"params.yaml", "runs", "mlflow.db", "mlruns"}


def test_artifacts_say_what_they_are_and_where_they_came_from(trained: Trained) -> None:
    folder, _ = trained
    dataset, model = artifacts(folder, "build")["dataset"], artifacts(folder, "train")["model"]
    assert dataset["metadata"]["train_examples"] == 24
    assert model["metadata"]["dataset_digest"] == dataset["metadata"]["digest"]
    evaluation, answers = artifacts(folder, "evaluate"), artifacts(folder, "vote")
    assert evaluation["evaluation"]["metadata"]["dataset_digest"] == dataset["metadata"]["digest"]
    assert answers["answers"]["metadata"]["predictions_digest"]
    assert 0 <= evaluation["scores"]["metadata"]["exact_accuracy"] <= 1
    assert 0 <= answers["scores"]["metadata"]["pass@2"] <= 1
    (source,) = artifacts(folder, "fetch")["raw"]["metadata"].items()
    assert source[0] == "sudoku-4x4"
    assert "sha256" in source[1]


def test_the_scores_that_are_checked_for_before_are_those_there_are(trained: Trained) -> None:
    folder, _ = trained
    puzzle = open_dataset(Path(artifacts(folder, "build")["dataset"]["uri"])).puzzle
    found = artifacts(folder, "vote")["scores"]["metadata"]
    assert found.keys() == set(score_names(puzzle, VoteSettings().ks))


def test_the_page_of_a_run_has_its_report_and_its_table(trained: Trained) -> None:
    folder, _ = trained
    pages = artifacts(folder, "vote")
    assert "<svg" in Path(pages["report"]["uri"]).read_text()
    assert "| exact answers |" in Path(pages["summary"]["uri"]).read_text()


def test_a_model_of_before_is_evaluated_and_registered(trained: Trained, project: Path) -> None:
    """On another machine: of the run before, the model's artifact alone is there."""
    folder, _ = trained
    model = project / "model"
    shutil.copytree(artifacts(folder, "train")["model"]["uri"], model)
    (model / "mlflow_run.json").unlink()  # that run is in another registry
    arguments = ["--experiment", "sudoku-mini", "--param", "model=model", "--param", "register_as=again"]
    done = pipelines(project, "run", "--local", "evaluate", *arguments)
    assert done.returncode == 0, done.stderr
    assert "train    |" not in done.stderr
    assert registry(project).get_model_version_by_alias("again", "champion").tags["experiment"] == "sudoku-mini"


def test_the_best_of_a_sweep_is_registered(project: Path) -> None:
    arguments = ["--experiment", "sudoku-mini", "--param", "seeds=[3, 4]", "--param", "metric=token_accuracy"]
    done = pipelines(project, "run", "--local", "sweep", *arguments)
    assert done.returncode == 0, done.stderr
    table = Path(artifacts(project, "choose")["ranking"]["uri"]).read_text().splitlines()
    assert table[0] == "| run | token_accuracy |"
    assert {row.split(" | ")[0] for row in table[2:]} == {"| sudoku-mini, seed 3", "| sudoku-mini, seed 4"}
    (version,) = registry(project).search_model_versions("name='sudoku-mini'")
    best = table[2].split(", seed ")[1].split(" ")[0]
    run = registry(project).get_run(version.run_id)
    assert run.data.params["seed"] == best
    others = registry(project).search_runs([run.info.experiment_id])
    assert {other.data.params["seed"] for other in others} == {"3", "4"}


def test_a_step_that_raises_fails_the_run_with_its_message(project: Path) -> None:
    done = pipelines(project, "run", "--local", "--experiment", "sudoku-mini", "-o", "build.min_rating=1000000")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("hrm: error: step build failed: ")
    assert "min_rating" in last
    assert "train    |" not in done.stderr
    (failed,) = registry(project).search_runs(
        [registry(project).get_experiment_by_name("sudoku-mini").experiment_id]  # type: ignore[union-attr]
    )
    assert failed.info.status == "FAILED"
    assert failed.data.tags["experiment"] == "sudoku-mini"
    assert f"pipelines status {failed.data.tags['pipeline_run']}" in failed.data.tags["error"]


def test_a_model_that_is_not_there_is_named(project: Path) -> None:
    arguments = ["--experiment", "sudoku-mini", "--param", f"model={project / 'absent'}"]
    done = pipelines(project, "run", "--local", "evaluate", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"hrm: error: --param model={project}/absent: no folder with checkpoints/; ")
    assert len(done.stderr.splitlines()) == 1


def test_an_error_of_kfp_itself_is_no_success(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a loop its threads swallow it: no step has failed, and no step has run."""

    @dsl.component(base_image="python")
    def step(text: str) -> None:
        pass

    @dsl.pipeline
    def odd() -> None:
        with dsl.ParallelFor([1]):
            step(text="{{$.nothing}}")

    compiler.Compiler().compile(odd, str(project / "odd.yaml"))
    monkeypatch.setattr(local, "compiled", lambda _: (project / "odd.yaml").read_text())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
    with pytest.raises(RuntimeError, match="for-loop-2-iteration-0"):
        local.run_local("odd", {}, project / "runs")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--experiment", "sudoku-huge"], "params.yaml: experiments.sudoku-huge: no such experiment; there are "),
        (
            ["--experiment", "sudoku-mini", "-o", "train.lr=1"],
            "params.yaml: experiments.sudoku-mini: train.lr = 1",
        ),
        (
            ["--experiment", "sudoku-mini", "--gpus", "3"],
            "batch_size = 16 must be divisible",
        ),
        (["--experiment", "sudoku-mini", "--gpus", "many"], "gpus = many: expected a whole number"),
        (
            ["--experiment", "sudoku-mini", "--param", "speed=1"],
            "--param speed=1: expected KEY=VALUE",
        ),
        (["--experiment", "sudoku-mini", "--param", "minimum_scores=0.5"], "minimum_scores is a mapping"),
        (["--experiment", "sudoku-mini", "--param", "mirror=/tmp"], "train.checkpoints.mirror"),
        (["--experiment", "sudoku-mini", "--experiment", "maze-mini"], "--experiment: train takes one"),
        (["--experiment", "sudoku-mini", "--param", "minimum_scores={pass@2: 7}"], "register.minimum.pass@2"),
        (["--experiment", "sudoku-mini", "--param", "minimum_scores={pas@2: 0.7}"], "has no score 'pas@2'; there are "),
        (["evaluate", "--experiment", "sudoku-mini"], "evaluate needs --param model=...: address of the artifact"),
        (["sweep", "--experiment", "sudoku-mini", "--param", "metric=best"], "metric: sudoku-mini has no score 'best'"),
        (["sweep", "--experiment", "sudoku-mini", "--param", "seeds=[]"], "seeds: none; a sweep needs at least one"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(project: Path, arguments: list[str], said: str) -> None:
    done = pipelines(project, "run", "--local", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (project / "runs").exists()


def test_a_root_that_is_a_file_is_told_before_anything_runs(project: Path) -> None:
    (project / "root").touch()
    done = pipelines(project, "run", "--local", "--experiment", "sudoku-mini", "--root", "root")
    assert (done.returncode, done.stderr) == (2, "hrm: error: root: File exists\n")
    assert not (project / "mlflow.db").exists()


def test_a_relative_database_is_the_one_beside_the_caller(project: Path) -> None:
    """And each run names its own artifacts, whatever else was written beside them last."""
    beside = project / "runs/pipelines/zz"
    beside.mkdir(parents=True)
    os.utime(beside, (2**32, 2**32))
    arguments = ["run", "--local", "--experiment", "sudoku-mini"]
    done = pipelines(project, *arguments, MLFLOW_TRACKING_URI="sqlite:///own.db")
    assert done.returncode == 0, done.stderr
    assert MlflowClient(f"sqlite:///{project}/own.db").get_model_version_by_alias("sudoku-mini", "champion").version
    said = done.stderr.splitlines()[-1]
    assert (project / said.removesuffix(": the artifacts") / "register").is_dir()


def test_the_settings_of_the_folder_count(project: Path) -> None:
    """The first step has no params.yaml beside it: what it needs of the caller's travels with the run."""
    text = (project / "params.yaml").read_text().replace("sudoku-mini", "mine")
    (project / "params.yaml").write_text(text)
    done = pipelines(project, "run", "--local", "--experiment", "mine", "-o", "build.min_rating=1000000")
    assert "step build failed" in done.stderr
    record = json.loads(next((project / "runs/pipelines").glob("*/resolve/executor_output.json")).read_text())
    assert record["parameterValues"]["build"]["min_rating"] == 1000000
    assert os.listdir(project / "runs") == ["pipelines"]
