"""What a person sees of runs: a small table, and of one run its steps, without the workflow's scaffolding."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import Command, refused
from kfp_server import KfpServer, at, node

from pipelines.outcome import duration, table

DONE = [
    node("hrm-train-x7f2k", "SUCCEEDED", 0, 7600),
    node("root", "SUCCEEDED", 10, 7600),
    node("root-driver", "SUCCEEDED", 1, 9),
    node("train", "SUCCEEDED", 130, 7500),
    node("train-driver", "SUCCEEDED", 120, 129),
    node("executor", "SUCCEEDED", 131, 7500),
    node("exit-handler-1", "SUCCEEDED", 20, 7600),
    node("fetch", "SUCCEEDED", 40, 75),
    node("fetch-driver", "SUCCEEDED", 30, 40),
]
COMPONENTS = {
    "comp-fetch": {"executorLabel": "exec-fetch"},
    "comp-train": {"executorLabel": "exec-train"},
    "comp-exit-handler-1": {
        "dag": {"tasks": {name: {"componentRef": {"name": f"comp-{name}"}} for name in ("fetch", "train")}}
    },
}
SPEC = {
    "root": {"dag": {"tasks": {"exit-handler-1": {"componentRef": {"name": "comp-exit-handler-1"}}}}},
    "components": COMPONENTS,
}


def keep(kfp: KfpServer, **fields: Any) -> str:
    """A run that the server holds; its id."""
    identity = f"{len(kfp.runs):08}-aaaa-bbbb-cccc-000000000000"
    run = {"run_id": identity, "display_name": "train maze-mini", "created_at": at(0), "finished_at": at(7600)}
    kfp.runs[identity] = {**run, "state": "SUCCEEDED", "pipeline_spec": SPEC, **fields}
    return identity


def shown(command: Command, kfp: KfpServer, *arguments: str) -> list[str]:
    done = command("status", "--host", kfp.host, *arguments)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def test_the_latest_runs(kfp: KfpServer, command: Command) -> None:
    assert shown(command, kfp) == [f"no runs at {kfp.host} yet"]
    keep(kfp)
    keep(kfp, display_name="sweep", state="RUNNING", created_at=at(60), finished_at="1970-01-01T00:00:00Z")
    keep(kfp, display_name="new", state=None, created_at=at(61), finished_at="0001-01-01T00:00:00Z")
    heading, *lines = shown(command, kfp)
    assert heading.split() == ["NAME", "STATE", "STARTED", "DURATION", "RUN_ID"]
    assert [line.split()[0] for line in lines] == ["new", "sweep", "train"]
    assert "pending" in lines[0]
    assert "running" in lines[1]
    assert re.search(r"\d+ d", lines[1]), "it goes on since"
    assert "succeeded" in lines[2]
    assert "2 h 6 min" in lines[2]
    assert [line.split()[-1] for line in lines] == list(reversed(kfp.runs))


def test_many_runs_are_the_newest(kfp: KfpServer, command: Command) -> None:
    for _ in range(40):
        keep(kfp)
    lines = shown(command, kfp)[1:]
    assert [line.split()[-1] for line in lines] == list(reversed(kfp.runs))[: len(lines)]
    assert 10 <= len(lines) <= 20


def test_one_run_is_its_steps(kfp: KfpServer, command: Command) -> None:
    run = keep(kfp, run_details={"task_details": DONE})
    assert shown(command, kfp, run) == [
        "train maze-mini: succeeded, 2 h 6 min",
        "",
        "STEP   STATE      DURATION",
        "fetch  succeeded  35 s",
        "train  succeeded  2 h 2 min",
        "",
        f"{kfp.host}/#/runs/details/{run}",
    ]


def test_a_failed_step_says_what_the_server_knows(kfp: KfpServer, command: Command) -> None:
    error = {"code": 2, "message": "OOMKilled:\n exit code 137"}
    nodes = [*DONE[:3], node("train", "FAILED", 130, 140, error=error), node("fetch-driver", "FAILED", 30, 40)]
    text = "\n".join(shown(command, kfp, keep(kfp, state="FAILED", run_details={"task_details": nodes})))
    assert "train: OOMKilled: exit code 137" in text
    assert "fetch-driver" in text
    assert "failed" in text


def test_a_waiting_pod_has_a_command_that_explains_it(kfp: KfpServer, command: Command) -> None:
    """The server does not tell of an image that is missing: a pod that waits for it is pending, and nothing else."""
    nodes = [*DONE[:3], node("train", "RUNNING", 130), node("executor", "PENDING", 131)]
    run = keep(kfp, state="RUNNING", finished_at="1970-01-01T00:00:00Z", run_details={"task_details": nodes})
    text = "\n".join(shown(command, kfp, run))
    assert f"kubectl get pods -n kubeflow -l pipeline/runid={run}" in text
    assert "kubectl" not in "\n".join(shown(command, kfp, keep(kfp, run_details={"task_details": DONE})))


def test_a_run_of_another_pipeline(kfp: KfpServer, command: Command) -> None:
    """It was uploaded before, so that the server does not send its specification along."""
    text = "\n".join(shown(command, kfp, keep(kfp, pipeline_spec=None, run_details={"task_details": DONE})))
    assert "fetch" in text
    assert not any(word in text for word in ("root", "driver", "executor"))
    assert shown(command, kfp, keep(kfp, pipeline_spec=None))[0] == "train maze-mini: succeeded, 2 h 6 min"


def test_an_unknown_run(kfp: KfpServer, command: Command) -> None:
    line = refused(command("status", "run-9", "--host", kfp.host))
    assert "refused (404)" in line
    assert "Run run-9 not found" in line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (180_000, "2 d 2 h")],
)
def test_durations(seconds: int, text: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert duration(start, start + timedelta(seconds=seconds)) == text
    assert duration(None, start) == "-"


def test_a_table_is_aligned() -> None:
    assert table([("A", "BB"), ("ccc", "d")]) == "A    BB\nccc  d"
