"""Steps as processes of this machine, each in an empty folder of its own, as a container would be."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kfp import local
from kfp.local import subprocess_task_handler

from pipelines.output import Output, step_of

GRACE = 60.0
"""Seconds that a step has to end after a signal: a training writes a checkpoint."""


@contextmanager
def subprocesses(output: Output) -> Iterator[local.SubprocessRunner]:
    """A runner that gives each step its own folder, in the place of KFP's, whose steps share the current one."""
    theirs = subprocess_task_handler.run_local_subprocess

    def run(full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        return _run(full_command, {**os.environ, **(env_vars or {})}, output)

    subprocess_task_handler.run_local_subprocess = run
    try:
        yield local.SubprocessRunner(use_venv=False)
    finally:
        subprocess_task_handler.run_local_subprocess = theirs


def _run(command: list[str], environment: Mapping[str, str], output: Output) -> int:
    step = step_of(command)
    with tempfile.TemporaryDirectory(prefix=f"{step}-") as folder:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.say(step, line)
            return output.ended(step, process.wait())
        except BaseException:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
