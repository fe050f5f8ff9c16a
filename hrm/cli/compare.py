"""`hrm compare`: two runs on the same test puzzles."""

from __future__ import annotations

import argparse
from typing import Any


def compare(options: argparse.Namespace) -> None:
    """Compare two runs after voting: solved by both, by one alone, by none, and whether the difference is chance."""
    from hrm.evaluation.two_runs import compare_runs

    print(compare_runs(options.first, options.second))  # noqa: T201


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    one = verbs.add_parser("compare", parents=parents, help=compare.__doc__, description=compare.__doc__)
    one.set_defaults(action=compare)
    for name in ("first", "second"):
        one.add_argument(name, metavar="RUN", help="an experiment with a run in runs/, or a run's folder")
