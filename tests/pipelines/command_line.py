"""The command `python -m pipelines`: within this process, as the imports of kfp take seconds, or as one of its own."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from kfp_server import KfpServer, running

ROOT = Path(__file__).parents[2]
Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


def environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the user's own counts."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("KFP_", "KF_PIPELINES_", "SSL_"))}
    return {**ours, "PYTHONPATH": str(ROOT), "HOME": str(folder), "KFP_TIMEOUT": "10", **variables}


def within(folder: Path, *arguments: str, **variables: str) -> Done:
    """Call it as Python would, and end as Python would."""
    from pipelines.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(folder, variables), clear=True),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            status = main(arguments)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
            print(stop.code if isinstance(stop.code, str) else "", file=sys.stderr)
    return Done(arguments, status, out.getvalue(), err.getvalue())


def process(folder: Path, *arguments: str, **variables: str) -> Done:
    line = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(
        line, cwd=folder, env=environment(folder, variables), capture_output=True, text=True, check=False, timeout=120
    )


def refused(done: Done) -> str:
    """The one line in which a command says why it did not do what it was asked."""
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert not done.stdout
    return lines[0]


@pytest.fixture
def command(project: Path) -> Command:
    """`python -m pipelines` with arguments, and variables as keywords, in a folder with a params.yaml."""
    return partial(within, project)


@pytest.fixture
def kfp() -> Iterator[KfpServer]:
    with running(KfpServer()) as server:
        yield server
