"""Several processes on this machine, started as `torchrun --standalone` does."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from hrm.errors import UserError, in_a_line
from hrm.progress import logger, speak
from hrm.training.heartbeat import AGAIN

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that go on to the processes."""
GRACE = 30.0
"""Seconds that the processes have to write a checkpoint after a signal; the launcher's own number."""


def check_devices(processes: int, setting: str = "train.processes") -> None:
    """Refuse more processes than there are GPUs, where there are any.

    Args:
        processes: as many.
        setting: that says so.

    Raises:
        UserError: naming both.
    """
    gpus = torch.cuda.device_count()
    if gpus and processes > gpus:
        raise UserError(f"{setting} = {processes}: this machine has {gpus} GPU{'s' * (gpus > 1)}; each needs one")


def under_torchrun() -> bool:
    """Whether `torchrun`, or a cluster's trainer that sets the same variables, started this process."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def local_processes(setting: int | str) -> int:
    """How many processes a setting of processes stands for on this machine."""
    if setting == "auto":
        return max(1, torch.cuda.device_count())
    return int(setting)


def launch(
    work: Callable[..., None],
    arguments: Sequence[Any],
    processes: int,
    again: str = AGAIN,
) -> None:
    """Run a function in several processes on this machine and wait for them.

    A signal goes on to them; they have half a minute to end.

    Args:
        work: a module's function.
        arguments: its arguments, the same in each process.
        processes: how many.
        again: what a new start after the loss of a process means.

    Raises:
        UserError: when that is what ended a process, or when one was killed.
        KeyboardInterrupt: after SIGINT.
        SystemExit: with status 128 + n after another signal; with 1 when a process failed otherwise: it has said why.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=str(uuid.uuid4()),
        max_restarts=0,
        start_method="spawn",
    )
    # What nohup, or a shell's background, ignores must not end a training.
    handled = [signum for signum in FORWARDED if signal.getsignal(signum) != signal.SIG_IGN]
    config.signals_to_handle = ",".join(signum.name for signum in handled)
    # Processes that share a machine's cores wait for each other's threads when each takes all of them.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    # The launcher tells every failure in some thirty lines; ours say themselves what happened. Its loggers have levels
    # of their own, but speak through these.
    for name in ("torch.distributed.elastic", "torch.multiprocessing.spawn"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    with tempfile.TemporaryDirectory() as folder, _handlers_kept():
        mistake = Path(folder) / "mistake"
        try:
            elastic_launch(config, _work)(logger.getEffectiveLevel(), mistake, work, *arguments)
        except SignalException as error:
            _outlast(error.sigval)
            _end(128 + error.sigval)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0:
                what = f"lost process {rank} of {processes}: ended by {failure.signal_name()}"
                raise UserError(f"{what}; start again: {again}") from None
            if mistake.is_file():
                raise UserError(mistake.read_text(encoding="utf-8")) from None
            _end(failure.exitcode)


def _end(status: int) -> NoReturn:
    if status == 128 + signal.SIGINT:
        raise KeyboardInterrupt from None
    raise SystemExit(status if status > 128 else 1) from None


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """The launcher sets handlers, and leaves them."""
    before = {signum: signal.getsignal(signum) for signum in FORWARDED}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _outlast(signum: signal.Signals) -> None:
    """Wait for the processes, when a second signal cut the launcher's own waiting short."""
    for other in FORWARDED:
        signal.signal(other, signal.SIG_IGN)
    children, deadline = multiprocessing.active_children(), time.monotonic() + GRACE
    for child in children:
        assert child.pid is not None
        with suppress(ProcessLookupError):
            os.kill(child.pid, signum)
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
        child.kill()


def _work(level: int, mistake: Path, work: Callable[..., None], *arguments: Any) -> None:
    speak(level)
    try:
        work(*arguments)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except Exception as error:
        told = in_a_line(error, f"process {os.environ['RANK']}")
        if told is None:
            traceback.print_exc()
            raise SystemExit(1) from None
        with suppress(FileExistsError), mistake.open("x", encoding="utf-8") as file:  # what others say follows from it
            file.write(told)
        raise SystemExit(2) from None
