"""How long a served model takes to answer over HTTP: `mlflow models serve`, a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import requests

from benchmarks.checkpoint import logging_to
from benchmarks.clock import seconds
from benchmarks.table import Table, number
from hrm.config import Experiment, load_experiment
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.evaluation.predictions import open_predictions
from hrm.progress import progress
from hrm.serving.solve import solve_puzzles
from hrm.stages.build import build
from hrm.stages.evaluate import evaluate
from hrm.stages.fetch import fetch
from hrm.stages.register import register
from hrm.stages.train import train
from hrm.stages.vote import vote
from hrm.tracking.server import resolved_uri
from hrm.training.card import load_model

EXPERIMENT = "sudoku-mini"
SIZE = "sources.sudoku-4x4.generator"
FULL = [f"{SIZE}.test=1000"]
QUICK = [f"{SIZE}.train=20", f"{SIZE}.test=20", "train.epochs=2", "train.eval_every=2", "train.processes=1"]
QUICK += ["train.batch_size=20", "train.compile=false", "evaluate.copies=1"]
"""Settings that differ from the experiment's."""
START = 120
"""Seconds that the server may take to start."""


@dataclass(frozen=True)
class Load:
    """Requests of one size from some clients at once."""

    name: str
    puzzles: int
    clients: int = 1
    votes: int = 1


LOADS = (
    Load("1 puzzle a request", 1),
    Load("1 puzzle a request, 8 votes", 1, votes=8),
    Load("1 puzzle a request, 4 clients at once", 1, clients=4),
    Load("32 puzzles a request", 32),
    Load("1000 puzzles a request", 1000),
)


def measure(quick: bool) -> list[Table]:
    """One table: latency and throughput, by the size of a request.

    Raises:
        UserError: when an answer over HTTP is not the one of the evaluation.
    """
    rounds, overrides = (2, QUICK) if quick else (40, FULL)
    experiment = load_experiment(EXPERIMENT, Path("params.yaml"), overrides)
    with TemporaryDirectory() as name, logging_to(Path(name)):
        folder = Path(name)
        dataset = _finished(folder, experiment)
        texts = [dataset.puzzle.format(dataset.test.questions.grid(row)) for row in range(len(dataset.test))]
        with _served(folder) as address:
            require_evaluated(_ask(address, texts), folder, dataset)
            loads = progress(LOADS, total=len(LOADS), desc="serve", unit="load")
            rows = [_row(load, _latencies(address, load, texts, rounds)) for load in loads]
        loaded, questions = load_model(folder / "run/checkpoints"), list(map(dataset.puzzle.parse, _many(texts, 1000)))
        inside = [seconds(lambda: solve_puzzles(loaded, questions)) for _ in range(rounds)]
    rows.append(_row(Load("1000 puzzles in this process (`solve_puzzles`)", 1000), (inside, sum(inside))))
    note = (
        f"`models:/{EXPERIMENT}@champion`, trained and registered for this, one worker, on this machine; {rounds} "
        f"requests a row and client. All answers to its {len(texts):,} held-out puzzles are those of `hrm evaluate`."
    )
    return [Table("A served model", note, ("what", "median, ms", "95 % below, ms", "puzzles/s"), rows)]


def _finished(folder: Path, experiment: Experiment) -> Dataset:
    """Carry an experiment from its source to the registry; gives its dataset."""
    built, run = folder / "built", folder / "run"
    fetch(experiment.sources, folder / "raw")
    build(experiment.build, folder / "raw", built)
    train(experiment.train, built, run, EXPERIMENT)
    evaluate(experiment.evaluate, built, run / "checkpoints", run)
    vote(experiment.vote, built, run, EXPERIMENT)
    register(experiment.register_, built, run, EXPERIMENT)
    return open_dataset(built)


def require_evaluated(answers: list[dict[str, Any]], folder: Path, dataset: Dataset) -> None:
    """Refuse to measure a server that answers anything but what the evaluation did."""
    predicted = open_predictions(folder / "run/predictions", dataset)
    grids = predicted.where(predicted.original).answers.unpack(slice(None))
    expected = [dataset.puzzle.format(grids.grid(row)) for row in range(len(grids))]
    differ = sum(one["answer"] != other for one, other in zip(answers, expected, strict=True))
    if differ:
        raise UserError(f"{differ:,} of {len(expected):,} answers over HTTP are not those of `hrm evaluate`")


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The address of a server with the champion, until the block ends."""
    uri = f"models:/{EXPERIMENT}@champion"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--model-uri", uri]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": resolved_uri(), "PATH": programs}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(f"http://127.0.0.1:{port}", process, folder / "log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        # The server is a child of the command; neither may outlive this.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while True:
        with suppress(requests.ConnectionError):
            if requests.get(f"{address}/ping", timeout=5).ok:
                return
        if process.poll() is not None or time.monotonic() > until:
            raise UserError(f"the server does not start: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.1)


def _many(texts: list[str], count: int) -> list[str]:
    """So many of the puzzles, from the first on again and again."""
    return list(islice(cycle(texts), count))


def _ask(
    address: str, puzzles: list[str], votes: int = 1, session: requests.Session | None = None
) -> list[dict[str, Any]]:
    """The server's answers."""
    body = json.dumps({"inputs": puzzles, "params": {"votes": votes}})
    headers = {"Content-Type": "application/json"}
    response = (session or requests).post(address, body, headers=headers, timeout=600)
    response.raise_for_status()
    predictions: list[dict[str, Any]] = response.json()["predictions"]
    return predictions


def _latencies(address: str, load: Load, texts: list[str], rounds: int) -> tuple[list[float], float]:
    """The seconds of each request, and of all together."""

    def client(number: int) -> list[float]:
        taken = []
        with requests.Session() as session:
            for turn in range(rounds):
                first = (number * rounds + turn) * load.puzzles % len(texts)
                puzzles = _many(texts[first:] + texts[:first], load.puzzles)
                start = time.perf_counter()
                answers = _ask(address, puzzles, load.votes, session)
                taken.append(time.perf_counter() - start)
                assert len(answers) == load.puzzles
        return taken

    client(0)  # the first requests are slower
    with ThreadPoolExecutor(load.clients) as pool:
        start = time.perf_counter()
        taken = [value for values in pool.map(client, range(load.clients)) for value in values]
        return taken, time.perf_counter() - start


def _row(load: Load, measured: tuple[list[float], float]) -> tuple[str, ...]:
    taken, together = measured
    slow = quantiles(taken, n=20)[-1]
    return load.name, number(1000 * median(taken)), number(1000 * slow), number(len(taken) * load.puzzles / together)
