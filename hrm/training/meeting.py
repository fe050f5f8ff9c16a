"""Where the processes of a run meet: a store of keys and values that `torchrun`, or the first process, serves."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from typing import NamedTuple

import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from hrm.errors import UserError

PATIENCE = timedelta(minutes=30)
"""Longest that processes wait for one that is alive but late: it fetches a checkpoint, or compiles. One that is lost is
noticed sooner, see `hrm.training.heartbeat`."""


class Meeting(NamedTuple):
    """The store as the processes of this attempt see it, and nobody else."""

    served: Store
    """Without the prefix; the first process may serve it by this very object."""
    prefix: str
    """In front of every key; the same in all processes, and new in every attempt."""

    @property
    def store(self) -> Store:
        """For one thread: a call that waits keeps the other calls of its connection waiting."""
        return PrefixStore(self.prefix, self.served)

    def connection(self) -> Store:
        """The same store over a connection of its own, for another thread."""
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        return PrefixStore(self.prefix, TCPStore(host, port, is_master=False, timeout=PATIENCE))


def meet(rank: int, count: int) -> Meeting:
    """Wait until every process is here.

    `torchrun` keeps one store through all restarts (PyTorch 2.13), and a restarted process would find in it where those
    before it could be reached. So they agree on a prefix that is theirs alone.

    Raises:
        UserError: when one does not come.
    """
    served, _, _ = next(rendezvous("env://", timeout=PATIENCE))
    try:
        prefix = _invite(served, count) if rank == 0 else _follow(served, rank)
    except dist.DistStoreError as error:
        raise UserError(
            f"process {rank} of {count}: not all processes came within {PATIENCE}; start every machine's part"
        ) from error
    return Meeting(served, prefix)


def _invite(store: Store, count: int) -> str:
    """The first process names the prefix, and answers everybody who asks under it."""
    prefix = uuid.uuid4().hex
    store.set("hrm/prefix", prefix)
    for other in range(1, count):
        store.set(f"{prefix}/answered/{store.get(f'{prefix}/asks/{other}').decode()}", "")
    return prefix


def _follow(store: Store, rank: int) -> str:
    """The others ask under the name they find, until they are answered: it may be that of an earlier attempt."""
    question = uuid.uuid4().hex
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while time.monotonic() < deadline:
        prefix: str = store.get("hrm/prefix").decode()
        store.set(f"{prefix}/asks/{rank}", question)
        if store.check([f"{prefix}/answered/{question}"]):
            return prefix
        time.sleep(0.02)
    raise dist.DistStoreError("the first process did not answer")
