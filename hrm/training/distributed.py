"""One process or many: who this process is, which rows of the global batch are its own, and what is summed over all."""

from __future__ import annotations

import logging
import os
import platform
import signal
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from hrm.errors import UserError
from hrm.progress import logger, speak


@dataclass(frozen=True)
class Processes:
    """This process among those of the training run."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def device_name(self) -> str:
        """The device as people call it."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.processor() or "CPU"

    def rows(self, batch_size: int) -> slice:
        """This process's rows of a global batch.

        Raises:
            UserError: when the processes cannot share the batch equally.
        """
        check_shares(batch_size, self.count)
        share = batch_size // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def wait(self) -> None:
        """Go on when every process is here."""
        if self.count > 1:
            dist.barrier()

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its sum over the processes, in one flattened all-reduce."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in the order of the global batch."""
        if self.count == 1:
            return rows
        # Bool tensors do not travel through every backend; bytes do.
        sent = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
        parts = [torch.empty_like(sent) for _ in range(self.count)]
        dist.all_gather(parts, sent.contiguous())
        return torch.cat(parts).to(rows.dtype)


def check_shares(batch_size: int, processes: int) -> None:
    """Refuse a number of processes that cannot share a batch equally.

    Raises:
        UserError: naming both.
    """
    if batch_size % processes:
        raise UserError(f"train.batch_size = {batch_size} must be divisible by the number of processes = {processes}")


def check_devices(processes: int) -> None:
    """Refuse more processes than there are GPUs, where there are any.

    Raises:
        UserError: naming both.
    """
    gpus = torch.cuda.device_count()
    if gpus and processes > gpus:
        raise UserError(f"train.processes = {processes}: this machine has {gpus} GPU{'s' * (gpus > 1)}; each needs one")


def under_torchrun() -> bool:
    """Whether `torchrun`, or a cluster's trainer that sets the same variables, started this process."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def local_processes(setting: int | str) -> int:
    """How many processes `train.processes` stands for on this machine."""
    if setting == "auto":
        return max(1, torch.cuda.device_count())
    return int(setting)


@contextmanager
def joined() -> Iterator[Processes]:
    """This process's place in the run; leaves the process group at the end."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if rank:
        logger.setLevel(logging.WARNING)  # what all processes do, the first one tells
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(rank, count, device)
        return
    options: dict[str, Any] = {"device_id": device} if device.type == "cuda" else {}
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", **options)
    try:
        yield Processes(rank, count, device)
    finally:
        dist.destroy_process_group()


def launch(work: Callable[..., None], arguments: Sequence[Any], processes: int) -> None:
    """Run a function in several processes on this machine, as `torchrun --standalone` does, and wait for them.

    Args:
        work: a module's function.
        arguments: its arguments, the same in each process.
        processes: how many.

    Raises:
        UserError: when that is what ended a process.
        SystemExit: with status 1 when a process failed otherwise; it has said why.
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
    # Processes that share a machine's cores wait for each other's threads when each takes all of them.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    # The launcher tells every failure in some thirty lines; ours say themselves what happened.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        mistake = Path(folder) / "mistake"
        try:
            elastic_launch(config, _work)(logger.level, mistake, work, *arguments)
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + error.sigval) from None
        except ChildFailedError as error:
            if mistake.is_file():
                raise UserError(mistake.read_text(encoding="utf-8")) from None
            raise SystemExit(1) from error


def _work(level: int, mistake: Path, work: Callable[..., None], *arguments: Any) -> None:
    speak(level)
    try:
        work(*arguments)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except UserError as error:
        mistake.write_text(str(error), encoding="utf-8")
        raise SystemExit(2) from None
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
