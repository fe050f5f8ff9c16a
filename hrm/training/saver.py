"""When checkpoints are written, by whom, and which of them stay."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from hrm.artifacts import remove, write_text
from hrm.config import CheckpointSettings
from hrm.errors import UserError
from hrm.progress import warn
from hrm.training import checkpoint
from hrm.training.card import newest_first
from hrm.training.checkpoint import Snapshot
from hrm.training.mirror import Mirror

PATIENCE = 600.0
"""Seconds that a finished run waits for its last upload."""
SHORT_PATIENCE = 10.0
"""Seconds that a run waits for it which a signal or an error ends."""


class Saver:
    """Writes the checkpoints of a run in a thread, one at a time: a step waits for a copy of the state alone."""

    def __init__(self, folder: Path, settings: CheckpointSettings, name: str) -> None:
        """Prepare; in the first process of a run.

        Args:
            folder: that the checkpoints are written into.
            settings: when, how many stay, and the mirror that they are copied to.
            name: of the run, for the mirror.
        """
        self._folder, self._settings = folder, settings
        self._mirror = Mirror(settings.mirror, name, folder) if settings.mirror is not None else None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._written: Future[None] | None = None
        self._last = time.monotonic()
        for left in folder.glob(".step-*"):  # of a process that was killed while it wrote
            remove(left)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        self._close_mirror(SHORT_PATIENCE)

    def newest(self) -> Snapshot | None:
        """The newest intact checkpoint, of the mirror where this machine has none; None where there is none at all.

        Raises:
            UserError: when the mirror cannot be read: a run that began anew would lose what is there.
        """
        found = checkpoint.newest_intact(self._folder)
        if found is None and self._mirror is not None and self._mirror.pull() is not None:
            found = checkpoint.newest_intact(self._folder)
        return found

    def is_due(self, steps: int) -> bool:
        """Whether the settings ask for a checkpoint so many steps after the last one."""
        every = self._settings.every_steps
        in_time = time.monotonic() - self._last >= 60 * self._settings.every_minutes
        return in_time or (every is not None and steps >= every)

    def save(self, taken: Snapshot, curves: str, best: int | None) -> None:
        """Write a snapshot while training goes on, and drop the checkpoints that need not stay.

        A disk that does not take it is told, and training goes on.

        Args:
            taken: the state.
            curves: the run's metrics until then, as the text of `curves.csv`.
            best: the step of the best validation so far, which stays.
        """
        self.settle()
        self._last = time.monotonic()
        self._written = self._thread.submit(self._write, taken, curves, best)

    def save_curves(self, curves: str) -> None:
        """Write the metrics alone, for people and for a run that is stopped before the next checkpoint."""
        self._thread.submit(self._write_curves, curves)

    def settle(self) -> None:
        """Go on when nothing is being written; the thread has told what went wrong."""
        if self._written is not None:
            self._written.exception()

    def wait(self) -> None:
        """Go on when the last checkpoint is on the disk.

        Raises:
            OSError: when the disk did not take it.
        """
        if self._written is not None:
            self._written.result()

    def finish(self, step: int) -> Path:
        """Upload what is left, and give the checkpoint of a step.

        Raises:
            UserError: when it is neither here nor in the mirror.
        """
        folder = self._folder / checkpoint.folder_name(step)
        there = folder.is_dir() or (self._mirror is not None and self._mirror.fetch(folder.name) is not None)
        self._close_mirror(PATIENCE)
        if not there:
            raise UserError(f"{folder}: the best checkpoint is gone; set train.result to last")
        return folder

    def _write(self, taken: Snapshot, curves: str, best: int | None) -> None:
        try:
            self._write_curves(curves)
            folder = checkpoint.write(self._folder, taken)
        except OSError as error:
            newest = next(iter(newest_first(self._folder)), None)
            kept = f"the last good one is {newest}" if newest else "there is none yet"
            warn(f"{self._folder / taken.name}: not written ({error.strerror or error}); {kept}")
            raise
        kept_names = {path.name for path in newest_first(self._folder)[: self._settings.keep]}
        kept_names |= {checkpoint.folder_name(best)} if best is not None else set()
        if self._mirror is not None:
            self._mirror.push(folder, kept_names)
        for old in newest_first(self._folder):
            if old.name not in kept_names:
                remove(old)

    def _write_curves(self, curves: str) -> None:
        write_text(self._folder / "curves.csv", curves)

    def _close_mirror(self, patience: float) -> None:
        if self._mirror is not None:
            self._mirror.close(patience)
            self._mirror = None
