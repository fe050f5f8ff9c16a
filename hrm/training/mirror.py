"""A copy of a run's checkpoints in a bucket, for a machine that may not come back.

    s3://bucket/prefix/<name>/step-00001000/curves.csv             the run's history until then
                                            mlflow_run.json        where it is logged to, if MLflow was reached,
                                            wandb_run.json         and in W&B, if that is wanted
                                            model.safetensors ...  the files of the checkpoint
                                            model.json             the last one: a copy that has it is whole

Copying happens in the background and never stops the training.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

from hrm.artifacts import digest, link_or_copy, read_record, remove, written_beside
from hrm.errors import UserError
from hrm.progress import note, warn
from hrm.tracking.record import PLACE, WANDB_PLACE
from hrm.training.bucket import Bucket

FILES = ("model.safetensors", "training.safetensors", "training.json", "model.json")
"""Of a checkpoint, in the order in which they are copied."""
DIGESTS = {
    "model.json": ("weights_digest", "model.safetensors"),
    "training.json": ("tensors_digest", "training.safetensors"),
}
"""Which key of which file says the SHA-256 of which other file."""
CURVES = "curves.csv"
PLACES = (PLACE, WANDB_PLACE)
HISTORY = (CURVES, *PLACES)
"""Of the run; copied before the checkpoint, and not always there."""
HELD = ".mirror-"
"""How a folder begins that holds a checkpoint's files until they are copied."""


class _Push(NamedTuple):
    step: str
    held: Path


class _DamagedError(Exception):
    pass


class Mirror:
    """The checkpoints of one run in a bucket; for the first process alone."""

    def __init__(self, uri: str, name: str, training: Path) -> None:
        """Prepare to copy; nothing is sent yet.

        Args:
            uri: `s3://bucket/prefix`.
            name: what is added to it for this run.
            training: the local folder of the run's checkpoints and curves.

        Raises:
            UserError: when boto3 is missing or wrongly configured.
        """
        self.bucket = Bucket(f"{uri.rstrip('/')}/{name}")
        self.training = training
        self._lock = Lock()
        self._waiting: list[_Push] = []
        self._keep: frozenset[str] = frozenset()
        self._worker: Thread | None = None
        self._idle = True
        self._failing = False
        for left in training.glob(f"{HELD}*"):  # by a process that was killed
            remove(left)

    def pull(self) -> Path | None:
        """Download the newest intact checkpoint, with the run's history until then, into the training folder.

        Returns:
            Its folder; None when no checkpoint was ever copied in whole.

        Raises:
            UserError: when the bucket cannot be read, or every checkpoint in it is damaged: to begin anew would lose
                work that may still be there.
        """
        with self.bucket.required():
            copies = self._copies()
        for step, files in sorted(copies.items(), reverse=True):
            if not files.issuperset(FILES):
                warn(f"{self.bucket.uri}/{step}: skipped, as it was copied in part only")
                continue
            # Before the checkpoint: a stop in between must not lose the history.
            for file in files.intersection(HISTORY):
                with self.bucket.required(), written_beside(self._history(file)) as beside:
                    self.bucket.download(f"{step}/{file}", beside)
            if (folder := self.fetch(step)) is not None:
                note(f"{self.bucket.uri}: going on from the mirror's step {int(step.removeprefix('step-')):,}")
                return folder
        if any(files.issuperset(FILES) for files in copies.values()):
            raise UserError(f"{self.bucket.uri}: every checkpoint here is damaged; remove them to begin anew")
        return None

    def fetch(self, step: str) -> Path | None:
        """Download the checkpoint of this name into the training folder.

        Returns:
            Its folder; None, with a warning, when it is damaged.

        Raises:
            UserError: when the bucket cannot be read.
        """
        try:
            with self.bucket.required(), written_beside(self.training / step) as beside:
                beside.mkdir()
                for file in FILES:
                    self.bucket.download(f"{step}/{file}", beside / file)
                _verify(beside)
        except _DamagedError as error:
            warn(f"{self.bucket.uri}/{step}: damaged checkpoint skipped ({error})")
            return None
        return self.training / step

    def push(self, folder: Path, keep: Collection[str]) -> None:
        """Copy a finished checkpoint in the background; it may be removed here as soon as this returns.

        Those that still wait, and need not be kept any more, are left out; the newest goes first.

        Args:
            folder: the checkpoint, in the training folder.
            keep: names of the checkpoints that belong into the bucket besides this one; others are removed from it once
                this one is there.
        """
        try:
            held = self._hold(folder)
        except OSError as error:
            self._tell_failed(folder.name, error)
            return
        with self._lock:
            self._keep = frozenset(keep) | {folder.name}
            superseded = [push for push in self._waiting if push.step not in self._keep]
            kept = [push for push in self._waiting if push.step in self._keep]
            self._waiting = [*kept, _Push(folder.name, held)]
            if self._idle:
                self._idle = False
                # A daemon: a process that has to end does not wait for a server that hangs.
                self._worker = Thread(target=self._work, name="mirror", daemon=True)
                self._worker.start()
        for push in superseded:
            remove(push.held)

    def close(self, timeout: float) -> None:
        """Wait for what is still to be copied, up to `timeout` seconds; a warning says if it is not."""
        if self._worker is not None:
            self._worker.join(timeout)
        if not self._idle or self._failing:
            warn(f"{self.bucket.uri}: not up to date; the last checkpoint may be in {self.training} alone")
        if self._idle:
            self.bucket.close()

    def _history(self, file: str) -> Path:
        """Where one of these files lies."""
        return self.training.with_name(file) if file in PLACES else self.training / file

    def _copies(self) -> dict[str, set[str]]:
        """The files of each checkpoint in the bucket, also of those in part."""
        found: dict[str, set[str]] = {}
        for name in self.bucket.names():
            step, _, file = name.partition("/")
            if re.fullmatch(r"step-\d+", step):
                found.setdefault(step, set()).add(file)
        return found

    def _hold(self, folder: Path) -> Path:
        """A second name for each file, which outlives the checkpoint; what changes later is copied."""
        held = Path(tempfile.mkdtemp(prefix=HELD, dir=self.training))
        try:
            for file in FILES:
                link_or_copy(folder / file, held / file)
            for file in HISTORY:
                if self._history(file).exists():
                    shutil.copyfile(self._history(file), held / file)
        except OSError:
            remove(held)
            raise
        return held

    def _work(self) -> None:
        """Copy what waits until nothing does."""
        while (push := self._next()) is not None:
            try:
                self._copy(push)
            except Exception as error:  # whatever it is, the training goes on
                self._tell_failed(push.step, error)
            else:
                if self._failing:
                    note(f"{self.bucket.uri}: works again; {push.step} is there")
                self._failing = False
            finally:
                shutil.rmtree(push.held, ignore_errors=True)

    def _next(self) -> _Push | None:
        with self._lock:
            self._idle = not self._waiting
            return self._waiting.pop() if self._waiting else None

    def _copy(self, push: _Push) -> None:
        history = [file for file in HISTORY if (push.held / file).exists()]
        for file in (*history, *FILES):
            self.bucket.upload(push.held / file, f"{push.step}/{file}")
        with self._lock:
            kept = self._keep | {push.step}  # others may have been pushed meanwhile, but are not there yet
        for step, files in self._copies().items():
            if step not in kept:
                # The last one first: what is removed in part must not look whole.
                for file in sorted(files, key=lambda file: file != FILES[-1]):
                    self.bucket.delete(f"{step}/{file}")

    def _tell_failed(self, step: str, error: Exception) -> None:
        """Warn when it begins to fail, not each time."""
        if not self._failing:
            problem = self.bucket.explain(error)
            warn(f"{self.bucket.uri}: not brought up to {step}: {problem}; training goes on and tries the next one")
        self._failing = True


def _verify(folder: Path) -> None:
    for card, (key, file) in DIGESTS.items():
        try:
            said = read_record(folder / card, [key], "it is damaged")[key]
        except UserError:
            raise _DamagedError(f"{card} does not say the {key} of {file}") from None
        if said != digest(folder / file):
            raise _DamagedError(f"{file} is not what {card} says")
