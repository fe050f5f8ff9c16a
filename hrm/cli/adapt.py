"""`hrm adapt`: a trained model on tasks that it was not trained with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hrm.cli.experiment import chosen


def adapt(options: argparse.Namespace) -> None:
    """Learn new ARC tasks from their demonstrations with a trained model, and answer their tests."""
    from hrm.stages.adapt import adapt

    for experiment, place in chosen(options):
        adapt(experiment, options.tasks, place.checkpoints, place.dataset, options.out or place.run / "adapted")


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    one = verbs.add_parser("adapt", parents=parents, help=adapt.__doc__, description=adapt.__doc__)
    one.set_defaults(action=adapt)
    one.add_argument("experiment", metavar="EXPERIMENT", help="whose trained or imported model is adapted")
    one.add_argument(
        "--tasks",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="task files in ARC's JSON, with or without the tests' outputs, and folders of such",
    )
    one.add_argument("--out", type=Path, metavar="DIR", help="the folder to write (default: runs/EXPERIMENT/adapted)")
