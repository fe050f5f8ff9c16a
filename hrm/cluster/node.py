"""What each process of a node runs, under torchrun: the dataset comes, the training runs, the finished run goes.

python -m hrm.cluster.node SECRETS WORK
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hrm.cluster.job import Work
from hrm.cluster.stored import retrieve, store
from hrm.errors import UserError
from hrm.progress import speak
from hrm.settings import validate
from hrm.stages.train import train


def main(arguments: Sequence[str]) -> int:
    """Do a node's part.

    Args:
        arguments: the folder of the secrets, and the work as JSON.

    Returns:
        The exit status: 0, or 2 for a mistake of the user.
    """
    secrets, told = arguments
    speak(logging.INFO)
    try:
        os.environ.update(read_secrets(Path(secrets)))
        work_here(validate(Work, json.loads(told), "work"), Path())
    except UserError as error:
        print(f"hrm: error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def read_secrets(folder: Path) -> dict[str, str]:
    """The variables that are mounted as `<secret>/<KEY>`; what the kubelet keeps beside them begins with dots."""
    files = [file for file in folder.glob("*/*") if file.is_file() and not file.name.startswith(".")]
    return {file.name: file.read_text(encoding="utf-8").strip() for file in files}


def work_here(work: Work, here: Path) -> None:
    """Train in a folder, with the other processes of the job.

    Raises:
        UserError: when the bucket fails, or the training does.
    """
    with (here / ".dataset.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process of the node downloads, the others wait
        if not (here / "dataset").exists():
            retrieve(work.dataset, here / "dataset")
    train(work.train, here / "dataset", here / "run", work.name)
    if os.environ["RANK"] == "0":
        store(here / "run", work.run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
