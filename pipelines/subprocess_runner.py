"""Steps as processes of this machine, each in an empty folder of its own, as a container would be."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from kfp import local
from kfp.local import subprocess_task_handler

from pipelines.output import Output
from pipelines.signals import heeded

GRACE = 60.0
"""Seconds that a step has to end after a signal: a training writes a checkpoint."""


@contextmanager
def subprocesses(output: Output) -> Iterator[local.SubprocessRunner]:
    """A runner that gives each step its own folder, in the place of KFP's, whose steps share the current one.

    No step outlives the block.
    """
    theirs = subprocess_task_handler.run_local_subprocess
    ours = _Processes(output)
    subprocess_task_handler.run_local_subprocess = ours.run
    try:
        with heeded(ours.end):
            yield local.SubprocessRunner(use_venv=False)
    finally:
        subprocess_task_handler.run_local_subprocess = theirs


class _Processes:
    def __init__(self, output: Output) -> None:
        self._output = output
        self._running: set[int] = set()
        self._ended = False

    def run(self, full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Run a step to its end and give its status; what KFP calls in the place of its own function."""
        step = self._output.begins(full_command)
        with tempfile.TemporaryDirectory(prefix=f"{step}-", ignore_cleanup_errors=True) as folder:
            process = subprocess.Popen(  # noqa: S603
                full_command,
                cwd=folder,
                env={**os.environ, **(env_vars or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # KFP's shell is the first of several processes, and passes no signal on.
                process_group=0,
            )
            self._running.add(process.pid)
            if self._ended:  # a signal came while KFP started the next one
                _send(process.pid, signal.SIGTERM)
            return self._followed(process, step)

    def end(self) -> None:
        """Ask all steps to end, those that are about to start as well; the second time, or after a while, end them."""
        if not self._ended:
            self._impatience = threading.Timer(GRACE, self.end)
            self._impatience.daemon = True
            self._impatience.start()
        for group in tuple(self._running):
            _send(group, signal.SIGKILL if self._ended else signal.SIGTERM)
        self._ended = True

    def _followed(self, process: subprocess.Popen[str], step: str) -> int:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                self._output.say(step, line)
            return self._output.ended(step, process.wait())
        except BaseException:
            if not self._ended:
                self.end()
            with suppress(OSError):  # nobody is there to see it
                for line in process.stdout:  # until the last of its processes has let go of it
                    self._output.say(step, line)
            raise
        finally:
            if process.returncode is None:
                _send(process.pid, signal.SIGKILL)
                process.wait()
            self._running.discard(process.pid)


def _send(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
