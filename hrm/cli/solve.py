"""`hrm solve`: a puzzle in, its answer drawn."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from hrm.errors import UserError


def solve(options: argparse.Namespace) -> None:
    """Solve puzzles with a trained model, and say whether the answers are right."""
    from hrm.serving.opened import open_model
    from hrm.serving.questions import questions_in
    from hrm.serving.session import Session

    text, where = _text(options.puzzle)
    opened = open_model(options.model, tasks=options.task is not None)
    asked = {name: getattr(options, name) for name in ("task", "votes", "rule", "steps", "trace")}
    session = Session(opened, **asked)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for question in questions_in(opened.loaded.card.puzzle, text, where):
        solution = session.solve(question)
        print(json.dumps(solution.record()) if options.json else solution.text(colour=colour), flush=True)  # noqa: T201


def _text(puzzle: str) -> tuple[str, str]:
    """What the argument holds or names, and how messages call it."""
    if puzzle == "-":
        return sys.stdin.read(), "standard input"
    # A puzzle can be longer than a name of a file may be, and hold what no name may.
    if "\n" in puzzle or "\0" in puzzle or len(puzzle) > 255 or not Path(puzzle).is_file():
        return puzzle, "PUZZLE"
    try:
        return Path(puzzle).read_text(encoding="utf-8"), puzzle
    except UnicodeDecodeError:
        raise UserError(f"{puzzle}: not a text file") from None


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    one = verbs.add_parser("solve", parents=parents, help=solve.__doc__, description=solve.__doc__)
    one.set_defaults(action=solve)
    one.add_argument(
        "model",
        metavar="MODEL",
        help="an experiment with a run in runs/, a folder of a run or checkpoint, or models:/NAME@champion",
    )
    one.add_argument(
        "puzzle",
        metavar="PUZZLE",
        help="text, a file with one puzzle or several (a line each, or empty lines between), or - for standard input",
    )
    one.add_argument("--task", metavar="NAME", help="the ARC task that the puzzle is of; ARC models need it")
    one.add_argument("--votes", type=int, default=1, metavar="N", help="symmetric copies that vote (default: 1, none)")
    one.add_argument(
        "--rule",
        default="votes",
        metavar="RULE",
        help="what ranks the voters' answers: votes (default, as published), weighted, confidence, or valid "
        "(those that obey the puzzle's rules first; not for ARC)",
    )
    one.add_argument("--steps", type=int, metavar="N", help="segments to run (default: as many as in training)")
    one.add_argument("--trace", action="store_true", help="show the answer after each segment, changed cells marked *")
    one.add_argument("--json", action="store_true", help="for programs: a JSON object a puzzle")
