"""`hrm search`: what more answers, and more segments for each, get out of a trained model."""

from __future__ import annotations

import argparse
from typing import Any

from hrm.cli.experiment import chosen


def search(options: argparse.Namespace) -> None:
    """Try ways of asking a trained model, and name the cheapest one that solves enough; figures go to search.json."""
    from hrm.stages.search import search

    if options.target is not None:
        options.override.append(f"search.target={options.target}")
    for experiment, place in chosen(options):
        found = search(
            experiment.search, experiment.evaluate, place.dataset, place.checkpoints, place.run, experiment.name
        )
        print(found)  # noqa: T201


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    one = verbs.add_parser("search", parents=parents, help=search.__doc__, description=search.__doc__)
    one.set_defaults(action=search)
    one.add_argument("experiment", metavar="EXPERIMENT", help="a name under experiments: in the params file")
    one.add_argument("--target", metavar="SHARE", help="of puzzles to solve, 0 to 1 (default: search.target)")
