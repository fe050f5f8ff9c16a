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
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import requests

from benchmarks.checkpoint import logging_to
from benchmarks.clock import alone, seconds
from benchmarks.table import Table, number
from hrm.config import Experiment, load_experiment
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.progress import progress
from hrm.serving.package import log_model
from hrm.serving.solve import solve_puzzles
from hrm.stages.build import build
from hrm.stages.fetch import fetch
from hrm.tracking.server import as_default, import_mlflow, resolved_uri
from hrm.training import checkpoint
from hrm.training.card import LoadedModel, card_of, load_model
from hrm.training.state import fresh_state

EXPERIMENT = "sudoku-mini"
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
    """One table: latency and throughput, by the size of a request."""
    rounds = 2 if quick else 40
    overrides = [f"sources.sudoku-4x4.generator.{split}=20" for split in ("train", "test")] if quick else []
    experiment = load_experiment(EXPERIMENT, Path("params.yaml"), overrides)
    with TemporaryDirectory() as name, logging_to(Path(name)):
        folder = Path(name)
        loaded, dataset = _untrained(folder, experiment)
        questions = [dataset.test.questions.grid(row % len(dataset.test)) for row in range(1000)]
        with _served(folder, loaded, dataset) as address:
            texts = [dataset.puzzle.format(question) for question in questions]
            loads = progress(LOADS, total=len(LOADS), desc="serve", unit="load")
            rows = [_row(load, _latencies(address, load, texts, rounds)) for load in loads]
        inside = [seconds(lambda: solve_puzzles(loaded, questions)) for _ in range(rounds)]
    rows.append(_row(Load("1000 puzzles in this process (`solve_puzzles`)", 1000), (inside, sum(inside))))
    note = f"The model of `{EXPERIMENT}`, one worker, on this machine; {rounds} requests a row and client."
    return [Table("A served model", note, ("what", "median, ms", "95 % below, ms", "puzzles/s"), rows)]


def _untrained(folder: Path, experiment: Experiment) -> tuple[LoadedModel, Dataset]:
    """The experiment's model before its first step, which takes as long as any, and its dataset."""
    fetch(experiment.sources, folder / "raw")
    build(experiment.build, folder / "raw", folder / "built")
    dataset, processes = open_dataset(folder / "built"), alone()
    taken = checkpoint.snapshot(
        fresh_state(experiment.train, dataset, processes), card_of(experiment.train, dataset), processes
    )
    assert taken is not None
    checkpoint.write(folder / "checkpoints", taken)
    return load_model(folder / "checkpoints"), dataset


@contextmanager
def _served(folder: Path, loaded: LoadedModel, dataset: Dataset) -> Iterator[str]:
    """The address of a server with the model, until the block ends."""
    mlflow = import_mlflow()
    with as_default(), mlflow.start_run():
        uri = log_model(loaded, dataset).model_uri
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


def _latencies(address: str, load: Load, texts: list[str], rounds: int) -> tuple[list[float], float]:
    """The seconds of each request, and of all together."""

    def client(number: int) -> list[float]:
        taken = []
        with requests.Session() as session:
            for turn in range(rounds):
                first = (number * rounds + turn) * load.puzzles % len(texts)
                puzzles = (texts * 2)[first : first + load.puzzles]
                body = json.dumps({"inputs": puzzles, "params": {"votes": load.votes}})
                start = time.perf_counter()
                response = session.post(address, body, headers={"Content-Type": "application/json"}, timeout=600)
                taken.append(time.perf_counter() - start)
                assert len(response.json()["predictions"]) == load.puzzles
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
