"""Signs of life: real processes that are frozen, killed, asleep together, or done before the others."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch.distributed import TCPStore

from hrm.evaluation.evaluation import AGAIN
from hrm.training import heartbeat
from hrm.training.heartbeat import Heartbeat

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import torch
from hrm.evaluation.evaluation import AGAIN
from hrm.training import heartbeat
from hrm.training.distributed import joined

heartbeat.EVERY, heartbeat.SILENCE = 0.1, 1.0
with joined(*sys.argv[2:]) as processes:
    processes.wait()
    Path(f"ready-{processes.rank}").touch()
    exec(sys.argv[1])
"""
Start = Callable[..., list[subprocess.Popen[str]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes of a run, without a launcher, that do what a text says; returns when all are at work."""
    started: list[subprocess.Popen[str]] = []

    def starting(text: str, count: int, *again: str) -> list[subprocess.Popen[str]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(count):
            place = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {**os.environ, **{name: str(value) for name, value in place.items()}}
            command = [sys.executable, "-c", PROGRAM, text, *again]
            started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stderr=subprocess.PIPE))
        while not all((tmp_path / f"ready-{rank}").exists() for rank in range(count)):
            assert all(process.poll() in (None, 0) for process in started)
            time.sleep(0.02)
        return started

    yield starting
    for process in started:
        process.kill()
        process.communicate()


def test_a_frozen_process_ends_the_others_in_one_line(start: Start) -> None:
    first, frozen, third = start("while True: processes.sum(torch.ones(3))", 3)
    frozen.send_signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    (_, said), (_, silent) = first.communicate(timeout=20), third.communicate(timeout=20)
    assert (first.returncode, third.returncode) == (1, 1)
    assert time.monotonic() - frozen_at < 5
    (line,) = said.splitlines()
    assert line.startswith("hrm: error: lost process 1 of 3 on ")
    assert line.endswith("start again: the run goes on from its last checkpoint")
    assert silent == ""


@pytest.mark.parametrize(("signum", "lost"), [(signal.SIGSTOP, "no sign of life"), (signal.SIGKILL, "lost another of")])
def test_an_evaluation_that_loses_a_process_speaks_of_no_checkpoint(start: Start, signum: int, lost: str) -> None:
    first, other = start("while True: processes.sum(torch.ones(3))", 2, AGAIN)
    other.send_signal(signum)
    _, said = first.communicate(timeout=20)
    assert lost in said
    assert "start again: it goes on from its finished pieces" in said
    assert "checkpoint" not in said


def test_processes_that_sleep_together_lose_nobody(start: Start) -> None:
    """As Ctrl-Z and `fg`, or a laptop's lid."""
    work = "end = time.monotonic() + 4\nwhile processes.highest([time.monotonic() < end])[0]: time.sleep(0.01)"
    together = start(work, 2)
    for signum, seconds in ((signal.SIGSTOP, 2.0), (signal.SIGCONT, 0.0)):
        for process in together:
            process.send_signal(signum)
        time.sleep(seconds)
    for process in together:
        assert process.communicate(timeout=20) == (None, "")
        assert process.returncode == 0


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, TCPStore]:
    """A store, until it is taken out; and a quick heart."""
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)
    monkeypatch.setattr(heartbeat, "SILENCE", 0.5)
    return {"store": TCPStore("127.0.0.1", 0, is_master=True)}


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses of processes that would have ended."""
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        time.sleep(3600)  # nothing comes after an end; the thread is a daemon

    monkeypatch.setattr(os, "_exit", end)
    return statuses


def beating(served: dict[str, TCPStore], count: int) -> list[Heartbeat]:
    """Hearts of one run that have heard each other."""
    port = served["store"].port
    hearts = [Heartbeat(TCPStore("127.0.0.1", port, is_master=False), rank, count) for rank in range(count)]
    for heart in hearts:
        heart.start()
    time.sleep(0.3)
    return hearts


def test_a_process_that_is_done_is_not_missed_and_one_that_failed_is(
    served: dict[str, TCPStore], ends: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    last, done, failed = beating(served, 3)
    done.stop(failed=False)
    time.sleep(1.5)
    assert ends == []
    failed.stop(failed=True)
    time.sleep(1.5)
    assert ends == [1]
    assert "lost process 2 of 3 on" in caplog.text
    assert "process 1" not in caplog.text
    last.stop(failed=True)


def test_a_lost_store_ends_all(
    served: dict[str, TCPStore], ends: list[int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTER_ADDR", "first-machine")
    monkeypatch.setenv("MASTER_PORT", "29400")
    beating(served, 2)
    served.clear()
    time.sleep(1.5)
    assert ends == [1, 1]
    assert "hrm: error: lost the store at first-machine:29400" in caplog.text
    assert "process" not in caplog.text
