"""The scores of a finished run in words: a line for a terminal, a table for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hrm.artifacts import read_record
from hrm.evaluation.score import EVALUATED, VOTED, wilson


def summary(name: str, run: Path) -> str:
    """The scores of a finished run in a line, in per cent.

    Args:
        name: of the experiment.
        run: its folder.

    Raises:
        UserError: when it has not been evaluated and voted on.
    """
    evaluate = read_record(run / "evaluate.json", EVALUATED, f"run `hrm evaluate {name}`")
    vote = read_record(run / "vote.json", VOTED, f"run `hrm vote {name}`")
    exact = f"{evaluate['exact_accuracy']:6.1%} exact"
    interval = f"{evaluate['exact_accuracy_low']:.1%} to {evaluate['exact_accuracy_high']:.1%}"
    parts = [f"{name:<24} {exact} of {evaluate['count']:,} test puzzles (95 % interval {interval})"]
    if "valid_accuracy" in evaluate:
        parts.append(f"{evaluate['valid_accuracy']:.1%} valid")
    passes = ", ".join(f"{key} {vote[key]:.1%}" for key in ("pass@1", "pass@2") if key in vote)
    prize = f", ARC Prize {vote['arc_prize']:.1%}" if "arc_prize" in vote else ""
    parts.append(f"{vote['votes']:,} answers voting: {passes}{prize}")
    return "; ".join(parts)


def scores_table(evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> str:
    """Every score with its interval, as a table in Markdown.

    Args:
        evaluate: content of `evaluate.json`.
        vote: content of `vote.json`.
    """
    rows = ["| score | value | 95 % interval | of |", "|---|---:|---:|---:|"]
    for label, value, count, unit in _counted(evaluate, vote):
        low, high = wilson(value, count)
        rows.append(f"| {label} | {value:.1%} | {low:.1%} – {high:.1%} | {count:,} {unit} |")
    if "arc_prize" in vote:
        # A mean of the tasks' shares: the interval of a share of cases does not hold for it. Older records have none.
        bounds = [vote[key] for key in ("arc_prize_low", "arc_prize_high") if key in vote]
        sure = " {:.1%} – {:.1%}".format(*bounds) if bounds else ""
        rows.append(f"| ARC Prize score, {_voted(vote)} | {vote['arc_prize']:.1%} |{sure} | {vote['tasks']:,} tasks |")
    return "\n".join(rows)


def _counted(evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> Iterator[tuple[str, float, int, str]]:
    """Every score that is a share of independent cases: label, share, cases, what a case is."""
    for key, label in {"exact_accuracy": "exact answers", "valid_accuracy": "valid answers"}.items():
        if key in evaluate:
            yield label, evaluate[key], evaluate["count"], "test puzzles"
    voted = _voted(vote)
    for key in telling(vote):
        yield f"{key}, {voted}", vote[key], vote["tasks"], "tasks" if unit(vote) == "task" else "test puzzles"
    if "valid@1" in vote:
        yield f"valid first answers, {voted}", vote["valid@1"], vote["test_inputs"], "test puzzles"


def unit(vote: Mapping[str, Any]) -> str:
    """What pass@K counts: tasks, where they can have several test inputs, else puzzles."""
    return "task" if vote["tasks"] < vote["test_inputs"] else "puzzle"


def telling(vote: Mapping[str, Any]) -> list[str]:
    """The pass@K up to the first K that takes in every candidate there can be."""
    keys = [key for key in vote if key.startswith("pass@")]
    enough = [place for place, key in enumerate(keys) if int(key.removeprefix("pass@")) >= vote["votes"]]
    return keys[: enough[0] + 1] if enough else keys


def _voted(vote: Mapping[str, Any]) -> str:
    votes = vote["votes"]
    return f"{votes:,} answers voting" if votes > 1 else "one answer each"
