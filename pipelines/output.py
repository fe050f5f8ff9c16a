"""What the steps of a local run say: shown line by line behind the step's name, and the error that ended it kept."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

OURS = re.compile(r"^\[KFP Executor [^\]]*\]: ")
"""What KFP puts before each line of a log."""
EXECUTOR = ("Looking for component", "Loading KFP component", "Got executor_input", "Wrote executor output", "Did not")
"""How KFP's own lines begin."""
RAISED = re.compile(r"^(?:[\w.]+\.)?(?P<kind>(?:[A-Z]\w*)?(?:Error|Exception|Interrupt|Exit))(?:: (?P<message>.*))?$")
"""The last line of a traceback."""
KILLED = (137, -9)
"""The status of a process that was killed, by way of a shell or not."""


@dataclass
class Failure:
    """Why a step failed."""

    step: str
    kind: str = ""
    """Of the exception; empty where the step ended without one."""
    message: str = ""

    @property
    def is_mistake(self) -> bool:
        """Whether it was the user's, or what the machine cannot give, such as space on a disk, rather than a bug."""
        return self.kind == "UserError" or "[Errno " in self.message

    def __str__(self) -> str:
        """In a line: the step, and what it said."""
        kind = "" if self.kind in ("", "UserError") else f"{self.kind}: "
        return f"step {self.step} failed: {kind}{self.message}"


class _Stream(threading.local):
    """Where the lines of a step have come to: steps side by side have a thread each."""

    raised: Failure | None = None
    skipping: bool = False


@dataclass
class Output:
    """The lines of all steps."""

    failures: list[Failure] = field(default_factory=list)
    folder: Path | None = None
    """Of the run: where KFP puts the artifacts of all steps; known when the first step begins."""
    _stream: _Stream = field(default_factory=_Stream)

    def begins(self, command: Sequence[str]) -> str:
        """The name of the step that a command of KFP runs."""
        self._stream.raised, self._stream.skipping = None, False
        if record := _argument(command, "--executor_input"):
            self.folder = Path(json.loads(record)["outputs"]["outputFile"]).parents[1]
        return _argument(command, "--function_to_execute") or "step"

    def say(self, step: str, line: str) -> None:
        """Show a line of a step, unless it is KFP's own."""
        line, stream = line.rstrip(), self._stream
        text = OURS.sub("", line)
        if text is not line and text.startswith(EXECUTOR):
            stream.skipping = text.startswith("Got executor_input")  # the whole request follows, as JSON
        elif stream.skipping:
            stream.skipping = line != "}"
        elif text:
            print(f"{step:<8} | {text}", file=sys.stderr)  # noqa: T201
            if raised := RAISED.match(text):
                stream.raised = Failure(step, raised["kind"], raised["message"] or "")

    def ended(self, step: str, status: int) -> int:
        """Remember whether a step failed, and with what; gives the status back."""
        if status:
            killed = ": killed, perhaps as memory ran out" if status in KILLED else ""
            message = f"ended with status {status}{killed}"
            self.failures.append(self._stream.raised or Failure(step, message=message))
        self._stream.raised = None
        return status


def _argument(command: Sequence[str], name: str) -> str | None:
    return command[command.index(name) + 1] if name in command else None
