"""SIGTERM, SIGINT and SIGHUP end a training between two steps, after a checkpoint."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from hrm.progress import note

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupts:
    """A context in which the first signal is only noted, for the loop to look at between steps.

    A second one ends the process at once; but not where a launcher started it: that forwards the signal which a
    terminal has sent to all, and ends by force what does not end in time.
    """

    def __init__(self) -> None:
        self.received = 0
        """The number of the signal that came, 0 when none did."""
        self.at_once = True
        """Whether there is nothing to save, so that a signal ends the process at once: before the first step, which may
        compile for a minute, and after the last checkpoint."""
        self._launched = "RANK" in os.environ
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            heeded = [signum for signum in SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]  # not so under nohup
            self._before = {signum: signal.signal(signum, self._note) for signum in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.at_once or (self.received and not self._launched):
            end(signum)
        first, self.received = not self.received, signum
        if first:
            note(
                "stopping after this step, with a checkpoint" + ("" if self._launched else "; once more stops at once")
            )


def end(signum: int) -> NoReturn:
    """End this process as the signal asks.

    Raises:
        KeyboardInterrupt: for SIGINT.
        SystemExit: with status 128 + the signal's number for others, 143 for SIGTERM.
    """
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + signum)
