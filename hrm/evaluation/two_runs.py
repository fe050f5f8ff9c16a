"""Two runs on the same test puzzles: who solves what, by how much they differ, and whether that is more than chance.

Letters for shapes: U units: tasks for kinds that are scored by the rules of the ARC Prize, else puzzles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_record
from hrm.errors import UserError
from hrm.evaluation.bootstrap import bootstrap
from hrm.evaluation.paired import Paired
from hrm.evaluation.score import ARC_PRIZE_ATTEMPTS, wilson
from hrm.evaluation.vote import UNSEEN
from hrm.puzzles import puzzle_from

LISTED = 20
"""Units that are named of those that one run alone solves."""
AGAIN = "run `hrm vote` for it"


@dataclass(frozen=True)
class Answered:
    """What a run solves after voting."""

    name: str
    tests: str
    """Digest of the test puzzles."""
    unit: str
    """What is counted: `task` or `puzzle`."""
    units: list[str]
    """(U,) their names; of puzzles, their numbers from 0."""
    solved_U: NDArray[np.bool_]
    """Puzzles whose first answer is the true one, or valid by the rules; tasks whose every test input has the true
    answer in two attempts."""
    shares_U: NDArray[np.float64] | None
    """The share of a task's test inputs solved in two attempts, whose mean is the ARC Prize score; None for puzzles."""

    @classmethod
    def read(cls, name: str) -> Answered:
        """What the answers of a run say.

        Args:
            name: of an experiment whose run is in `runs/`, or a run's folder.

        Raises:
            UserError: when there are none, or they are damaged or of an older version.
        """
        run = Path("runs", name) if Path("runs", name).is_dir() else Path(name)
        file = run / "answers/answers.json"
        if not file.is_file():
            raise UserError(f"{file}: no such file; run `hrm vote` for it first")
        content = read_record(file, ["puzzle", "test_digest", "answers"], AGAIN)
        puzzle = puzzle_from(content["puzzle"], f"{file}: puzzle")
        try:
            entries = content["answers"]
            ranks_E = np.array([_rank(entry["truth_rank"]) for entry in entries])
            valid_E = np.array([bool(entry.get("valid")) for entry in entries], bool)
            groups = [str(entry["group"]) for entry in entries]
            if not all(map(str.isprintable, groups)):
                raise ValueError("a name that cannot be shown")
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UserError(f"{file}: damaged; {AGAIN}") from None
        if not groups:
            raise UserError(f"{file}: no answers; {AGAIN}")
        if not puzzle.arc_prize:
            numbers = list(map(str, range(len(groups))))
            return cls(name, content["test_digest"], "puzzle", numbers, (ranks_E == 1) | valid_E, None)
        places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        task_E = np.array([places[group] for group in groups])
        shares_U = np.bincount(task_E, weights=ranks_E <= ARC_PRIZE_ATTEMPTS) / np.bincount(task_E)
        return cls(name, content["test_digest"], "task", list(places), shares_U == 1, shares_U)

    def share(self) -> str:
        """How much is solved, with its interval."""
        fraction = float(self.solved_U.mean())
        low, high = wilson(fraction, len(self.solved_U))
        return f"{fraction:.1%} solved (95 % interval {low:.1%} to {high:.1%})"


def _rank(entry: Any) -> float:
    """A rank from 1 on, infinite where nobody gave the answer.

    Raises:
        ValueError: when it is none.
    """
    if entry is None:
        return np.inf
    if type(entry) is not int or not 1 <= entry < UNSEEN:
        raise ValueError("no rank")
    return entry


def compare_runs(first: str, second: str) -> str:
    """The comparison in words.

    Args:
        first: a run, as `Answered.read` takes it.
        second: another one.

    Raises:
        UserError: when answers are missing, or the two were tested on different puzzles.
    """
    one, other = Answered.read(first), Answered.read(second)
    if (one.tests, one.units) != (other.tests, other.units):
        raise UserError(
            f"{first} and {second} were tested on different puzzles, which cannot be compared; evaluate and vote on "
            "both with the same test puzzles, and as many of them"
        )
    paired, unit = Paired.of(one.solved_U, other.solved_U), one.unit
    rows = paired.rows(first, second)
    width = max(len(label) for label, _ in rows)
    lines = [f"{first} and {second} on the same {paired.count:,} test {unit}s, after voting"]
    lines += [f"  {label:<{width}}  {count:>7,}" for label, count in rows]
    lines += [f"{run.name}: {run.share()}" for run in (one, other)]
    lines.append(_difference("difference", one.solved_U, other.solved_U, unit))
    if one.shares_U is not None and other.shares_U is not None:
        scores = f"{first} {one.shares_U.mean():.1%}, {second} {other.shares_U.mean():.1%}"
        lines += [f"ARC Prize score: {scores}", _difference("its difference", one.shares_U, other.shares_U, unit)]
    lines.append(paired.verdict(first, second, unit))
    return "\n".join([*lines, *_alone(one, other), *_alone(other, one)])


def _difference(label: str, first_U: NDArray[Any], second_U: NDArray[Any], unit: str) -> str:
    """The difference of two means over the same units."""
    difference_U = first_U.astype(np.float64) - second_U
    low, high = (100 * bound for bound in bootstrap(difference_U))
    sure = f"95 % bootstrap interval {low:+.1f} to {high:+.1f}" if difference_U.any() else f"none in any {unit}"
    return f"{label}: {100 * difference_U.mean():+.1f} points ({sure})"


def _alone(run: Answered, other: Answered) -> list[str]:
    """The units that one run alone solves, in a line, if there are any."""
    alone = [run.units[place] for place in np.flatnonzero(run.solved_U & ~other.solved_U).tolist()]
    if not alone:
        return []
    more = f" and {len(alone) - LISTED:,} more" if len(alone) > LISTED else ""
    which = "tasks" if run.unit == "task" else "puzzles counted from 0"
    return [f"solved by {run.name} alone, {which}: {' '.join(alone[:LISTED])}{more}"]
