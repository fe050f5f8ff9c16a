"""Steps as processes: none outlives its run, however that ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_clone import ROOT

STEPS = """
import sys
from kfp import dsl, local
from pipelines.output import Output
from pipelines.subprocess_runner import subprocesses

step = dsl.component(base_image="python", packages_to_install=[], install_kfp_package=False)


@step
def wait(name: str, folder: str):
    import os, pathlib, signal, sys, time

    def end(number: int, frame: object) -> None:
        pathlib.Path(folder, f"{name}.saved").touch()
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)
    pathlib.Path(folder, f"{name}.pid").write_text(str(os.getpid()))
    time.sleep(300)


@dsl.pipeline
def one(folder: str):
    wait(name="a", folder=folder)


@dsl.pipeline
def several(folder: str):
    with dsl.ParallelFor(["a", "b", "c"]) as name:
        wait(name=name, folder=folder)


with subprocesses(Output()) as runner:
    local.init(runner, pipeline_root=sys.argv[2], raise_on_error=False)
    {"one": one, "several": several}[sys.argv[1]](folder=sys.argv[2])
"""
Started = tuple["subprocess.Popen[bytes]", dict[str, int]]


def started(folder: Path, pipeline: str, names: list[str], *, prelude: str = "") -> Started:
    """A pipeline whose steps all wait, and the process of each."""
    (folder / "steps.py").write_text(f"{prelude}\n{STEPS}")
    process = subprocess.Popen(
        [sys.executable, "steps.py", pipeline, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not all((folder / f"{name}.pid").is_file() and (folder / f"{name}.pid").read_text() for name in names):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    return process, {name: int((folder / f"{name}.pid").read_text()) for name in names}


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked for its status is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder; at the end, no step that noted itself there is left."""
    yield tmp_path
    for file in tmp_path.glob("*.pid"):
        if not gone(int(file.read_text())):
            os.kill(int(file.read_text()), signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads /proc")
@pytest.mark.parametrize("pipeline", ["one", "several"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_all_steps_in_peace(folder: Path, pipeline: str, number: signal.Signals, status: int) -> None:
    names = ["a"] if pipeline == "one" else ["a", "b"]
    process, steps = started(folder, pipeline, names)
    process.send_signal(number)
    assert process.wait(30) == status
    assert all(gone(pid) for pid in steps.values())
    assert {file.stem for file in folder.glob("*.saved")} == set(names)  # and the third was never begun


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads /proc")
def test_a_signal_that_is_ignored_ends_nothing(folder: Path) -> None:
    prelude = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process, steps = started(folder, "one", ["a"], prelude=prelude)
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None
    assert not gone(steps["a"])
    process.terminate()
    assert process.wait(30) == 143
