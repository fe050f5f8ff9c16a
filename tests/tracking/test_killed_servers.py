"""Training while MLflow, on PostgreSQL, and the training itself are killed again and again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import small_run
from mlflow_server import free_port, kill, mlflow_server
from platform_server import new_settings, running_postgres, service_environment

from hrm.tracking.curves import read_curves
from hrm.tracking.points import Spool
from hrm.tracking.server import connect

pytestmark = pytest.mark.services

PROGRAM = """
import sys, time
from pathlib import Path
from hrm.config import TrainSettings
from hrm.stages.train import train
from hrm.tracking.tracker import MlflowTracker
from hrm.training.step import Step

MlflowTracker.INTERVAL, MlflowTracker.RETRY = 0.02, 0.2
step = Step.__call__
def held(self, *arguments):
    time.sleep(0.02)
    while Path(sys.argv[4]).exists():
        time.sleep(0.02)
    return step(self, *arguments)
Step.__call__ = held
train(TrainSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), "small")
"""
SETTINGS = small_run.SETTINGS.model_copy(
    update={
        "epochs": 300,
        "eval_every": 100,
        "log_every": 1,
        "checkpoints": small_run.SETTINGS.checkpoints.model_copy(update={"every_steps": 20}),
    }
)


@contextmanager
def database(log: Path) -> Iterator[str]:
    """A PostgreSQL of its own; its address for MLflow."""
    told = service_environment("postgres", new_settings())
    with running_postgres(log, told) as found:
        account = f"{told['POSTGRES_USER']}:{told['POSTGRES_PASSWORD']}@127.0.0.1:{found['PGPORT']}"
        yield f"postgresql+psycopg2://{account}/{told['POSTGRES_DB']}"


def training(dataset: Path, run: Path, hold: Path) -> "subprocess.Popen[bytes]":
    """In a process of its own, which stands still as long as the file `hold` is there."""
    command = [sys.executable, "-c", PROGRAM, SETTINGS.model_dump_json(), str(dataset), str(run), str(hold)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def go_on(process: "subprocess.Popen[bytes]", run: Path, steps: int) -> None:
    """Wait until the training has taken so many more steps."""
    before = last_step(run)
    small_run.wait_until(lambda: process.poll() is not None or last_step(run) >= before + steps, 120)
    assert process.poll() is None


def last_step(run: Path) -> int:
    return max((point.step for point in Spool(run).read()), default=0)


@pytest.mark.parametrize("dies", [("server", "server"), ("server and process", "process")], ids=" ".join)
def test_every_point_arrives_and_none_twice(
    dies: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, run, hold, rng = free_port(), tmp_path / "runs/small", tmp_path / "hold", random.Random(0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    data = small_run.sudoku_dataset(tmp_path / "data").path
    with database(tmp_path / "postgres.log") as address, ExitStack() as ended:
        server = ended.enter_context(mlflow_server(tmp_path, port, address))
        process = training(data, run, hold)
        for what in dies:
            go_on(process, run, 25)
            time.sleep(rng.uniform(0, 0.3))
            if "server" in what:
                kill(server)
                go_on(process, run, 25)
                hold.touch()
            if "process" in what:
                process.kill()
                assert process.wait() == -signal.SIGKILL
            if "server" in what:
                server = ended.enter_context(mlflow_server(tmp_path, port, address))
                hold.unlink()
            if "process" in what:
                process = training(data, run, hold)
        assert process.wait(240) == 0
        assert_complete(run)


def assert_complete(run: Path) -> None:
    """MLflow has the run's curves, and the speed of each step, every point once."""
    client = connect()
    (experiment,) = client.search_experiments(filter_string="name = 'small'")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.run_id == json.loads((run / "mlflow_run.json").read_text())["run_id"]
    assert logged.info.status == "FINISHED"
    curves = read_curves(run / "curves.csv")
    assert len(curves) == json.loads((run / "train.json").read_text())["steps"]
    for metric in {name for row in curves.values() for name in row}:
        history = client.get_metric_history(logged.info.run_id, metric)
        there = {step: pytest.approx(row[metric], rel=1e-5) for step, row in curves.items() if metric in row}
        assert Counter(point.step for point in history).most_common(1)[0][1] == 1, metric
        assert {point.step: point.value for point in history} == there, metric
    speeds = [point.step for point in client.get_metric_history(logged.info.run_id, "speed/samples_per_second")]
    assert sorted(speeds) == sorted(curves)
    assert Spool(run).read() == []
