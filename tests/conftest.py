"""Quiet libraries and one thread: the tests share two cores, and no library may phone home."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "disabled")

from hrm.cli import quiet_libraries

quiet_libraries()
