"""What the steps of a local run say: shown line by line behind the step's name, and the error that ended it kept."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field

OURS = re.compile(r"^\[KFP Executor [^\]]*\]: ")
"""What KFP puts before each line of a log."""
EXECUTOR = ("Looking for component", "Loading KFP component", "Got executor_input", "Wrote executor output", "Did not")
"""How KFP's own lines begin."""
RAISED = re.compile(r"^(?:[\w.]+\.)?(?P<kind>[A-Z]\w*(?:Error|Exception|Interrupt|Exit))(?:: (?P<message>.*))?$")
"""The last line of a traceback."""


@dataclass
class Failure:
    """Why a step failed."""

    step: str
    kind: str = ""
    """Of the exception; empty where the step ended without one."""
    message: str = ""

    @property
    def is_mistake(self) -> bool:
        """Whether it was the user's, rather than a bug."""
        return self.kind == "UserError"

    def __str__(self) -> str:
        """In a line: the step, and what it said."""
        said = self.message if self.is_mistake else f"{self.kind}: {self.message}" if self.kind else self.message
        return f"step {self.step} failed: {said}"


@dataclass
class Output:
    """The lines of all steps."""

    failures: list[Failure] = field(default_factory=list)
    _last: Failure | None = None
    _skipping: bool = False

    def say(self, step: str, line: str) -> None:
        """Show a line of a step, unless it is KFP's own."""
        line = line.rstrip()
        text = OURS.sub("", line)
        if text is not line and text.startswith(EXECUTOR):
            self._skipping = text.startswith("Got executor_input")  # the whole request follows, as JSON
        elif self._skipping:
            self._skipping = line != "}"
        elif text:
            print(f"{step:<8} | {text}", file=sys.stderr)  # noqa: T201
            if raised := RAISED.match(text):
                self._last = Failure(step, raised["kind"], raised["message"] or "")

    def ended(self, step: str, status: int) -> int:
        """Remember whether a step failed, and with what; gives the status back."""
        if status:
            known = self._last if self._last and self._last.step == step else None
            self.failures.append(known or Failure(step, message=f"ended with status {status}"))
        self._last = None
        return status


def step_of(command: list[str]) -> str:
    """The name of the step that a command of KFP runs."""
    return command[command.index("--function_to_execute") + 1] if "--function_to_execute" in command else "step"
