"""Every process tells the others that it is alive, and ends when one of them no longer is.

A process that is killed closes its connections, and the others fail at once. One that is frozen, or whose machine is
gone, closes nothing: the others would wait for it in the middle of a step until the patience of the process group ends.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence

from torch.distributed import Store  # type: ignore[attr-defined]

from hrm.progress import logger

EVERY = 3.0
"""Seconds between two beats."""
SILENCE = 45.0
"""Seconds without a beat after which a process is lost; far more than Python ever holds a thread up."""
LEFT = b"left"
"""Last beat of a process that came to its end."""
AGAIN = "the run goes on from its last checkpoint"
"""What a new start after the loss of a process means for a training."""


class Heartbeat:
    """A thread that exchanges beats, and one that looks at them, also when the store keeps the first one waiting."""

    def __init__(self, store: Store, rank: int, count: int, again: str = AGAIN) -> None:
        """Prepare.

        Args:
            store: seen by these processes alone, over a connection that nobody else uses.
            rank: of this process.
            count: of processes.
            again: what a new start means after the loss of one.
        """
        self._store, self._rank, self._count, self._again = store, rank, count, again
        self._keys = [f"beats/{other}" for other in range(count)]
        self._heard: list[bytes] = []
        """The newest beat of each process, empty until all have begun."""
        self._ended = threading.Event()
        self._failed = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._exchange, self._watch)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, failed: bool) -> None:
        """End.

        Args:
            failed: says nothing to the others, which cannot go on without this process: they end as when it is lost.
                Otherwise they are told that it came to its end, and do without it.
        """
        self._failed = failed
        self._ended.set()
        for thread in self._threads:
            thread.join(EVERY)  # not for ever: the store may be gone

    def _exchange(self) -> None:
        host, beats = platform.node(), 0
        try:
            self._store.set(self._keys[self._rank], f"{host} {beats}")
            self._store.wait(self._keys)
            while True:
                beats += 1
                self._store.set(self._keys[self._rank], f"{host} {beats}")
                self._heard = self._store.multi_get(self._keys)
                if self._ended.wait(EVERY):
                    break
            if not self._failed:
                self._store.set(self._keys[self._rank], LEFT.decode())
        except RuntimeError:
            # The connection is broken, which nothing mends: this process's own beat no longer comes back to it.
            return

    def _watch(self) -> None:
        # Looks are counted, not seconds: a machine that slept, or a terminal's Ctrl-Z and `fg`, loses nobody.
        looks = [0] * self._count
        before = [b""] * self._count
        while not self._ended.wait(EVERY):
            heard = self._heard
            for other, (beat, last) in enumerate(zip(heard, before, strict=False)):
                looks[other] = looks[other] + 1 if beat == last != LEFT else 0
            before = heard or before
            lost = [other for other, silent in enumerate(looks) if silent * EVERY >= SILENCE]
            # Where its own beat does not come back, this process knows nothing of the others.
            if self._rank in lost or (lost and not looks[self._rank]):
                self._end(lost, heard)

    def _end(self, lost: Sequence[int], heard: Sequence[bytes]) -> None:
        hosts = [beat.decode().rpartition(" ")[0] for beat in heard]
        if self._rank in lost:
            what, speaks = f"the store at {os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}", self._rank
        else:
            what = " and ".join(f"process {other} of {self._count} on {hosts[other]}" for other in lost)
            speaks = min(other for other, host in enumerate(hosts) if host == hosts[self._rank] and other not in lost)
        if speaks == self._rank:
            logger.error(
                "hrm: error: lost %s: no sign of life for %.0f seconds; start again: %s", what, SILENCE, self._again
            )
        # One line a machine is enough. Who says it leaves last: a launcher ends the others when it sees one end.
        time.sleep(EVERY if speaks != self._rank else 3 * EVERY)
        # No exception gets through to the main thread: it waits for the lost process inside of the backend's code.
        os._exit(1)
