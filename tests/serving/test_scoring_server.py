"""A registered model behind `mlflow models serve`, as others use it: over HTTP, in a process of its own."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from malformed import GOOD, malformed
from safetensors.torch import load_file
from scoring_server import ScoringServer, mlflow_environment, scoring_server

from hrm import provenance
from hrm.cli import parser
from hrm.config import BuildSettings, EvaluateSettings, RegisterSettings
from hrm.data.build import build_dataset
from hrm.data.copies import Copies, symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.evaluation.predictions import Predictions, open_predictions
from hrm.evaluation.vote import vote
from hrm.puzzles import Sudoku
from hrm.serving.voters import Electorate
from hrm.stages.register import register
from hrm.training.card import load_model

TESTS = 400
MODEL = "models:/small@champion"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a dataset with many test puzzles lies, a run on it, and the registry with its model."""
    folder = tmp_path_factory.mktemp("serving")
    puzzle = Sudoku(box=(2, 2))
    rng = np.random.default_rng(0)
    (folder / "raw/small").mkdir(parents=True)
    for split, count in {"train": 4, "test": TESTS}.items():
        rows = ["source,question,answer,rating"]
        for row in range(count):
            answer = puzzle.parse(small_run.SOLVED[row % 4])
            question = np.where(rng.random(answer.shape) < 0.6, 0, answer).astype(np.uint8)
            rows.append(f"small,{puzzle.format(question)},{puzzle.format(answer)},0")
        (folder / f"raw/small/{split}.csv").write_text("\n".join(rows) + "\n")
    build_dataset(BuildSettings(puzzle=puzzle, sources=["small"]), folder / "raw", folder / "built")
    dataset = open_dataset(folder / "built")
    run = small_run.finished_run(folder / "runs/small", dataset, steps=60)
    _give_opinions(run / "checkpoints/step-00000060")
    inputs = {"dataset": dataset.path, "checkpoint": run / "checkpoints/step-00000060"}
    provenance.write(run / "evaluate.provenance.json", "evaluate", inputs=inputs, settings=EvaluateSettings())
    with pytest.MonkeyPatch.context() as patch:
        small_run.use_embedded_mlflow(folder, patch)
        register(RegisterSettings(description="Solves small Sudokus."), dataset.path, run, "small")
    return folder


@pytest.fixture(scope="module")
def dataset(place: Path) -> Dataset:
    return open_dataset(place / "built")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[ScoringServer]:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    with scoring_server(elsewhere, MODEL, tracking_uri(place)) as running:
        yield running


def _give_opinions(checkpoint: Path) -> None:
    """Let the Q head, which was not trained, say something else of each answer."""
    weights = load_file(checkpoint / "model.safetensors")
    weights["q_head.weight"].normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    small_run.write_weights(checkpoint, weights)


def tracking_uri(place: Path) -> str:
    return f"sqlite:///{place}/mlflow.db"


def texts(dataset: Dataset) -> list[str]:
    return [dataset.puzzle.format(dataset.test.questions.grid(row)) for row in range(len(dataset.test))]


def predictions_of(copies: Copies, place: Path, name: str) -> Predictions:
    """What the stage `evaluate` would write."""
    model = load_model(place / "runs/small/checkpoints").model
    small_run.predict(model, copies, place / name, batch_size=64)
    return open_predictions(place / name, copies.dataset)


def test_all_answers_are_those_of_the_evaluation(server: ScoringServer, dataset: Dataset, place: Path) -> None:
    expected = predictions_of(symmetric_copies(dataset, copies=None, max_puzzles=None, seed=0), place, "predictions")
    found = server.ask(dataframe_records=[{"puzzle": text} for text in texts(dataset)])
    answers = expected.answers.unpack(slice(None))
    assert [one["answer"] for one in found] == [dataset.puzzle.format(answers.grid(row)) for row in range(TESTS)]
    assert len({one["answer"] for one in found}) > 10
    assert [one["confidence"] for one in found] == pytest.approx(1 / (1 + np.exp(-expected.q_halt)), abs=1e-5)
    assert [one["steps"] for one in found] == expected.steps.tolist()
    valid = [dataset.puzzle.is_valid(dataset.test.questions.grid(row), answers.grid(row)) for row in range(TESTS)]
    assert [one["valid"] for one in found] == valid
    assert len(set(valid)) == 2


def test_copies_vote_as_in_the_stage_vote(server: ScoringServer, dataset: Dataset, place: Path) -> None:
    votes = 8
    symmetries_CK = Electorate(dataset.puzzle).voters(votes).symmetries_CK
    example_M, copy_M = np.repeat(np.arange(TESTS), votes), np.tile(np.arange(votes), TESTS)
    ids_M = np.zeros(len(copy_M), np.int32)
    copies = Copies(dataset, example_M, copy_M, np.tile(symmetries_CK, (TESTS, 1)), ids_M)
    of_copies = predictions_of(copies, place, "votes")
    answers, examples, symmetries = of_copies.answers, of_copies.examples, of_copies.symmetries
    ranking = vote(dataset.puzzle, dataset.test.answers, answers, examples, symmetries, of_copies.q_halt, keep=1)
    found = server.ask(inputs=texts(dataset), params={"votes": votes})
    alone = server.ask(inputs=texts(dataset))
    assert [one["answer"] for one in found] == [
        dataset.puzzle.format(ranking.answers.grid(row)) for row in range(TESTS)
    ]
    assert found != alone
    for rule in ("weighted", "confidence", "valid"):
        ranking = vote(
            dataset.puzzle,
            dataset.test.answers,
            answers,
            examples,
            symmetries,
            of_copies.q_halt,
            keep=1,
            rule=rule,
            questions=dataset.test.questions,
        )
        found = server.ask(inputs=texts(dataset), params={"votes": votes, "rule": rule})
        assert [one["answer"] for one in found] == [
            dataset.puzzle.format(ranking.answers.grid(row)) for row in range(TESTS)
        ], rule
    assert [one["confidence"] for one in found] == pytest.approx(ranking.confidences.tolist(), abs=1e-5)
    longer = server.ask(inputs=texts(dataset), params={"steps": 5})
    assert {one["steps"] for one in longer} == {5}


def test_every_format_asks_the_same(server: ScoringServer, dataset: Dataset) -> None:
    puzzles = texts(dataset)[:2]
    grids = [dataset.test.questions.grid(row).tolist() for row in range(2)]
    expected = server.ask(inputs=puzzles)
    for given in (puzzles, grids):
        records = [{"puzzle": one} for one in given]
        for request in (
            {"dataframe_records": records},
            {"dataframe_split": {"columns": ["puzzle"], "data": [[one] for one in given]}},
            {"inputs": given},
            {"inputs": {"puzzle": given}},
            {"inputs": records},
            {"instances": given},
            {"instances": records},
        ):
            assert server.ask(**request) == expected, request
    assert server.ask(dataframe_records=[{"puzzle": puzzles[0]}, {"puzzle": grids[1]}]) == expected
    response = server.post("\n".join(["puzzle", *puzzles]), "text/csv")
    assert response.json()["predictions"] == expected


def test_malformed_requests_are_refused_and_the_server_lives_on(server: ScoringServer) -> None:
    before = server.ask(inputs=[GOOD])
    requests = list(malformed(300))
    statuses = [server.post(request.body, request.content_type).status_code for request in requests]
    assert not [
        (request, status) for request, status in zip(requests, statuses, strict=True) if status not in range(400, 500)
    ]
    assert server.ask(inputs=[GOOD]) == before


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"inputs": [GOOD, "12"]}, "row 1: 2 cells instead of 16"),
        ({"dataframe_records": [{"puzzle": [[1, 2], [3, 9]]}]}, "row 0: 9 is no cell of a Sudoku"),
        ({"inputs": [GOOD], "params": {"votes": 1001}}, "params.votes = 1001: expected a whole number from 1 to 1000"),
        ({"inputs": [GOOD], "params": {"steps": 0}}, "params.steps = 0: expected a whole number from 1 to 256"),
        (
            {"inputs": [GOOD], "params": {"rule": "best"}},
            "params.rule = 'best': expected one of votes, weighted, confidence, valid",
        ),
        ({"dataframe_records": [{"text": GOOD}]}, "missing inputs ['puzzle']"),
    ],
)
def test_a_refusal_says_why(server: ScoringServer, request_: dict[str, object], reason: str) -> None:
    response = server.post(json.dumps(request_))
    assert response.status_code == 400
    assert reason in response.json()["message"]


def test_a_large_batch_is_answered_whole(server: ScoringServer, dataset: Dataset) -> None:
    puzzles = texts(dataset)
    found = server.ask(inputs=puzzles * (10_000 // TESTS))
    once = [one["answer"] for one in server.ask(inputs=puzzles)]
    assert [one["answer"] for one in found] == once * (10_000 // TESTS)


def test_a_file_is_answered_without_a_server(server: ScoringServer, place: Path) -> None:
    request = {"dataframe_split": {"columns": ["puzzle"], "data": [[GOOD]]}, "params": {"votes": 3, "steps": 4}}
    (place / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "--model-uri", MODEL, "--env-manager", "local"]
    command += ["--content-type", "json", "--input-path", "request.json", "--output-path", "answers.json"]
    environment = mlflow_environment(tracking_uri(place))
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "answers.json").read_text())["predictions"] == server.ask(**request)


def test_the_page_asks_and_answers_as_the_server_does(server: ScoringServer) -> None:
    page = (Path(__file__).parents[2] / "docs/serving.md").read_text()
    (command,) = re.findall(r"```sh\n(curl .*?)```", page, re.DOTALL)
    words = shlex.split(command)
    assert words[1].endswith("/invocations")
    assert words[2:4] == ["-H", "Content-Type: application/json"]
    response = server.post(words[words.index("-d") + 1])
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (one,), (expected,) = response.json()["predictions"], json.loads(shown)["predictions"]
    assert list(one) == list(expected)
    puzzle = Sudoku(box=(2, 2))
    assert puzzle.is_valid(puzzle.parse(GOOD), puzzle.parse(expected["answer"]))


def test_the_page_shows_commands_that_exist() -> None:
    page = (Path(__file__).parents[2] / "docs/serving.md").read_text()
    commands = [shlex.split(line.split(" < ")[0]) for line in page.splitlines() if line.startswith("hrm ")]
    assert len(commands) == 4
    for words in commands:
        assert parser().parse_args(words[1:]).verb == "solve"
