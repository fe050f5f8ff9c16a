"""The platform's settings on first use."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_clone import ROOT

SCRIPT = ROOT / "docker/platform/new_env.py"
EXAMPLE = ROOT / "docker/platform.env.example"


def new_env(example: Path, target: Path, *, largest: int | None = None) -> "subprocess.CompletedProcess[str]":
    """The script, which can write no larger files than `largest` bytes, as on a full disk."""

    def limit() -> None:
        if largest is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    command = [sys.executable, "-B", SCRIPT, example, target]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)


def test_each_secret_is_random_and_its_owners_alone(tmp_path: Path) -> None:
    target = tmp_path / "platform.env"
    assert new_env(EXAMPLE, target).returncode == 0
    assert target.stat().st_mode & 0o777 == 0o600
    settings = dict(line.split("=", 1) for line in target.read_text().splitlines() if "=" in line and line[0] != "#")
    assert all(settings.values())
    before = target.read_text()
    done = new_env(EXAMPLE, target)
    assert (done.returncode, done.stderr) == (1, f"{target}: File exists\n")
    assert target.read_text() == before


@pytest.mark.parametrize("largest", [None, 10])
def test_a_failure_leaves_nothing_that_make_takes_for_whole(tmp_path: Path, largest: int | None) -> None:
    target = tmp_path / "platform.env"
    done = new_env(EXAMPLE if largest else tmp_path / "absent", target, largest=largest)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not target.exists()
