"""`hrm checkpoint import|export`: from and to checkpoint files of the release."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hrm.cli.experiment import chosen


def import_(options: argparse.Namespace) -> None:
    """Make runs/NAME of a checkpoint file of the release; then evaluate, vote and register as after a training."""
    from hrm.stages.checkpoint import import_checkpoint

    for experiment, place in chosen(options):
        import_checkpoint(options.file, experiment, place.dataset, place.run, step=options.step)


def export(options: argparse.Namespace) -> None:
    """Write the newest checkpoint of runs/EXPERIMENT as one file that the release's evaluate.py loads."""
    from hrm.stages.checkpoint import export_checkpoint

    for _, place in chosen(options):
        export_checkpoint(place.checkpoints, options.out)


def add_verbs(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Take a checkpoint file of the release, or make one."""
    group = verbs.add_parser("checkpoint", help=add_verbs.__doc__, description=add_verbs.__doc__)
    actions = group.add_subparsers(required=True, metavar="import|export")
    take = actions.add_parser("import", parents=parents, help=import_.__doc__, description=import_.__doc__)
    take.set_defaults(action=import_)
    take.add_argument("file", type=Path, metavar="FILE", help="a saved state dict, or a .safetensors of the same names")
    take.add_argument("--recipe", dest="experiment", required=True, metavar="NAME", help="the model's experiment")
    take.add_argument("--step", type=int, default=0, metavar="N", help="optimizer steps behind the weights, if known")
    give = actions.add_parser("export", parents=parents, help=export.__doc__, description=export.__doc__)
    give.set_defaults(action=export)
    give.add_argument("experiment", metavar="EXPERIMENT", help="a name under experiments: in the params file")
    give.add_argument("--out", type=Path, required=True, metavar="FILE", help="step_N tells the release the step")
