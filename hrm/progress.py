"""What a person sees while work goes on: a bar on a terminal, calm lines elsewhere, on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
logger = logging.getLogger("hrm")


def speak(level: int) -> None:
    """Let the notes of this process be seen from a level of `logging` on, without breaking a bar that is shown."""
    logger.setLevel(level)
    if not logger.handlers:
        logger.addHandler(_BesideBars())
        logger.propagate = False


def progress(
    items: Iterable[Item], *, total: int | None = None, initial: int = 0, desc: str = "", unit: str = "it"
) -> Iterator[Item]:
    """`items` with a progress bar, shown only on a terminal and not under `-q`."""
    hidden = not sys.stderr.isatty() or not logger.isEnabledFor(logging.INFO)
    yield from tqdm(
        items, total=total, initial=initial, desc=desc, unit=unit, disable=hidden, dynamic_ncols=True, leave=False
    )


def note(text: str) -> None:
    """One line about what was done; hidden under `-q`."""
    logger.info(text)


def warn(text: str) -> None:
    """One line about something that went wrong without stopping the work; shown under `-q` as well."""
    logger.warning("hrm: warning: %s", text)


class _BesideBars(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, RuntimeError):  # the terminal is gone, or a signal came in the midst of a line
            tqdm.write(self.format(record), file=sys.stderr)
