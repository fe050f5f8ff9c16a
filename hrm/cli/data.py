"""`hrm data info|check|view|export`: looking at a built dataset, and giving it to other tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def info(options: argparse.Namespace) -> None:
    """Print what a dataset holds and where it comes from."""
    from hrm.data.info import info

    raw = options.dataset.absolute().parent.with_name("raw")
    print(info(options.dataset, raw, as_json=options.json))  # noqa: T201


def check(options: argparse.Namespace) -> None:
    """Check every digest, name, cell, symmetry and answer of a dataset."""
    from hrm.data.check import check_dataset

    check_dataset(options.dataset)


def view(options: argparse.Namespace) -> None:
    """Write one HTML page to browse a dataset with: its puzzles, their variants, and what was done to each."""
    from hrm.data.view import view

    view(options.dataset, options.out)


def export(options: argparse.Namespace) -> None:
    """Write a dataset as a folder that the release's own tools read."""
    from hrm.stages.export import export

    export(options.dataset, options.out)


def add_verbs(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Look at a dataset, check it, or write it for other tools."""
    group = verbs.add_parser("data", help=add_verbs.__doc__, description=add_verbs.__doc__)
    actions = group.add_subparsers(required=True, metavar="info|check|view|export")
    for action in (info, check, view, export):
        one = actions.add_parser(action.__name__, parents=parents, help=action.__doc__, description=action.__doc__)
        one.set_defaults(action=action)
        one.add_argument("dataset", type=Path, metavar="DATASET", help="its folder, such as data/built/sudoku-mini")
        if action is info:
            one.add_argument("--json", action="store_true", help="for programs")
        if action is view:
            one.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page to write")
        if action is export:
            one.add_argument("--layout", choices=["published"], required=True, help="how the files are laid out")
            one.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write")
