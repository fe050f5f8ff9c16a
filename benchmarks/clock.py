"""What is measured on, and with."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

from hrm.training.distributed import Processes


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def alone() -> Processes:
    """One process, on the GPU where there is one."""
    return Processes(rank=0, count=1, device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes, with all that it asks of the device."""
    _wait_for_device()
    start = time.perf_counter()
    action()
    _wait_for_device()
    return time.perf_counter() - start


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def threads() -> str:
    """What torch computes with on the CPU, for people."""
    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count > 1)}"


def machine() -> str:
    """This machine in a line: GPU, CPU, cores, version of torch."""
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([*gpu, _cpu_name(), f"{cores()} core{'s' * (cores() > 1)}", f"torch {torch.__version__}"])


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
