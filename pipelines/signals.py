"""Signals that end a run reach its steps first, in whichever thread these are waited for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the wish of another program, and a terminal that was closed."""


@contextmanager
def heeded(end_steps: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal that ends this process first calls `end_steps`.

    KFP waits for its threads before it stops, and these wait for their steps, which may take days. What this process
    ignores, as nohup or a shell's background has it, does not end the steps either.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: handler for number in ENDING if (handler := signal.getsignal(number)) != signal.SIG_IGN}

    def end(number: int, frame: FrameType | None) -> None:
        end_steps()
        handler = before[signal.Signals(number)]
        if not callable(handler):
            raise SystemExit(128 + number)
        handler(number, frame)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
