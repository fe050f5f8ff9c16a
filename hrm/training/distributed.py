"""One process or many: who this process is, which rows of the global batch are its own, what they tell each other."""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store  # type: ignore[attr-defined]

from hrm.errors import UserError
from hrm.progress import logger
from hrm.training.heartbeat import AGAIN, Heartbeat
from hrm.training.meeting import PATIENCE, meet

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among those that work together.

    What every process calls raises UserError when one of them is lost.
    """

    rank: int
    count: int
    device: torch.device
    again: str = AGAIN
    """What a new start after the loss of one means."""

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
            with _none_lost(self):
                dist.barrier()

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its sum over the processes, in one flattened all-reduce."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.count > 1:
            with _none_lost(self):
                dist.all_reduce(values)
        return values

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in the order of the global batch."""
        if self.count == 1:
            return rows
        # Bool tensors do not travel through every backend; bytes do.
        sent = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
        parts = [torch.empty_like(sent) for _ in range(self.count)]
        with _none_lost(self):
            dist.all_gather(parts, sent.contiguous())
        return torch.cat(parts).to(rows.dtype)

    def highest(self, values: Sequence[int]) -> list[int]:
        """The highest of each value over the processes; for the host, and without waiting for the device."""
        if self.count == 1:
            return list(values)
        all_values = torch.tensor(values, dtype=torch.int64)
        with _none_lost(self):
            dist.all_reduce(all_values, dist.ReduceOp.MAX)
        return all_values.tolist()

    def share(self, value: Value) -> Value:
        """The first process's value, in every process; what the others give is not looked at.

        Args:
            value: plain data. It travels pickled, between processes of this run.
        """
        if self.count == 1:
            return value
        values = [value]
        with _none_lost(self):
            dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def spread(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first process's tensors, in the memory of every process's host; only it needs the file they come from.

        Args:
            tensors: those, in the first process; not looked at in the others.
        """
        if self.count == 1:
            assert tensors is not None
            return dict(tensors)
        own = tensors if self.first and tensors is not None else {}
        forms = self.share({name: (tensor.shape, tensor.dtype) for name, tensor in own.items()})
        spread = {}
        for name, (shape, dtype) in forms.items():
            tensor = own[name].detach().cpu().contiguous() if self.first else torch.empty(shape, dtype=dtype)
            if tensor.numel():
                # As bytes: every backend takes them, whatever they stand for.
                with _none_lost(self):
                    dist.broadcast(tensor.view(-1).view(torch.uint8), src=0)
            spread[name] = tensor
        return spread


def check_shares(batch_size: int, processes: int) -> None:
    """Refuse a number of processes that cannot share a batch equally.

    Raises:
        UserError: naming both.
    """
    if batch_size % processes:
        raise UserError(f"train.batch_size = {batch_size} must be divisible by the number of processes = {processes}")


@contextmanager
def joined(again: str = AGAIN, patience: timedelta | None = None) -> Iterator[Processes]:
    """This process's place in the run; leaves the process group at the end.

    Args:
        again: what a new start after the loss of a process means.
        patience: longest that processes wait for one that is alive but late, `PATIENCE` when left out.

    Raises:
        UserError: when the processes cannot reach each other, or this one has no GPU of its own where there are some.
    """
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if rank:
        logger.setLevel(logging.WARNING)  # what all processes do, the first one tells
    device = _own_device()
    if count == 1:
        yield Processes(rank, count, device, again)
        return
    meeting, orderly = meet(rank, count), True
    heartbeat = Heartbeat(meeting.connection(), rank, count, again)
    heartbeat.start()
    try:
        _form_group(meeting.store, rank, count, device, patience or PATIENCE)
        yield Processes(rank, count, device, again)
    except Exception:
        orderly = False
        raise
    finally:
        # Not after an error: leaving waits for the others, which wait in vain for what this process was to do next.
        if orderly and dist.is_initialized():
            dist.destroy_process_group()
        heartbeat.stop(failed=not orderly)


def _own_device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= gpus:
        raise UserError(
            f"process {local} of this machine has no GPU: there are {gpus}; start no more processes than that"
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device


def _form_group(store: Store, rank: int, count: int, device: torch.device, patience: timedelta) -> None:
    """Connect every process with every other: tensors of the GPU through nccl, those of the host through gloo."""
    gpu = device.type == "cuda"
    options: dict[str, Any] = {"device_id": device} if gpu else {}
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            store=store,
            rank=rank,
            world_size=count,
            timeout=patience,
            **options,
        )
    except RuntimeError as error:
        raise UserError(
            f"process {rank} of {count} does not reach the others ({_reason(error)}); on several machines, name the "
            "network between them in GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME"
        ) from error


@contextmanager
def _none_lost(processes: Processes) -> Iterator[None]:
    """What goes wrong between processes is the end of one of them.

    Raises:
        UserError: for an error of the backend.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise UserError(
            f"lost another of the {processes.count} processes ({_reason(error)}); start again: {processes.again}"
        ) from error


def _reason(error: RuntimeError) -> str:
    """The first sentence of a backend's error, without the place in its code."""
    return re.sub(r"\[/[^]]*\] ", "", str(error)).split(". ")[0].splitlines()[0]
