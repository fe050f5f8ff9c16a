"""The report's scores: what they rest on, the first ones large, all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from hrm.data.dataset import Dataset
from hrm.evaluation.markup import counted, interval, per_cent
from hrm.evaluation.score import wilson
from hrm.evaluation.summary import telling, unit

# Score: label, what it counts, and which count its interval rests on ("" for a mean, whose interval is on record).
EVALUATE_ROWS = {
    "exact_accuracy": ("Exact", "puzzles with every cell right, in one answer without voting", "count"),
    "valid_accuracy": ("Valid", "answers that obey all rules, equal to the known solution or not", "count"),
    "token_accuracy": ("Cells", "cells that are right, averaged over puzzles", ""),
    "q_halt_accuracy": ("Q head", "answers that the model itself rightly takes for right or for wrong", "count"),
    "steps": ("Steps", "segments that a puzzle takes, on average", ""),
}
VOTE_ROWS = {
    "valid@1": ("Valid after voting", "first answers that obey all rules", "test_inputs"),
    "arc_prize": ("ARC Prize", "share of a task's test inputs solved in two attempts, averaged over tasks", ""),
}


def lede(dataset: Dataset, evaluate: Mapping[str, Any], vote: Mapping[str, Any], *, imported: bool) -> str:
    """What was trained on what and scored on what, in a sentence or two."""
    height, width = dataset.puzzle.canvas
    trained = "Trained elsewhere" if imported else f"Trained on {counted(len(dataset.train_groups), unit(vote))}"
    tasks = f" of {counted(vote['tasks'], 'task')}" if unit(vote) == "task" else ""
    unseen = "which that training may have seen" if imported else "whose answers training never sees"
    voted = f"; up to {vote['votes']:,} answers to each vote" if vote["votes"] > 1 else ""
    return (
        f"{escape(dataset.puzzle.title)} on a canvas of {height} × {width} cells. {trained}; scored on "
        f"{counted(evaluate['count'], 'test puzzle')}{tasks}, {unseen}{voted}."
    )


def tiles(evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> str:
    """The first figures, large."""
    shown = [_tile("Exact accuracy", evaluate["exact_accuracy"], evaluate["count"], "puzzle")]
    if "valid_accuracy" in evaluate:
        shown.append(_tile("Valid answers", evaluate["valid_accuracy"], evaluate["count"], "puzzle"))
    # A single vote adds nothing to the one answer.
    voted = [key for key in vote if key.startswith("pass@")][:2] if vote["votes"] > 1 else []
    shown += [_tile(f"{key} after voting", vote[key], vote["tasks"], unit(vote)) for key in voted]
    return "".join(shown)


def _tile(title: str, value: float, count: int, unit: str) -> str:
    low, high = wilson(value, count)
    return (
        f'<li class="tile"><p class="what">{escape(title)}</p><b>{per_cent(value)}</b>'
        f"<p>of {counted(count, unit)}<br>95 % interval <span>{100 * low:.1f}–{100 * high:.1f} %</span></p></li>"
    )


def score_rows(evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> Iterator[str]:
    """The rows of the table of all scores."""
    for key, (label, meaning, count) in EVALUATE_ROWS.items():
        if key in evaluate:
            yield _row(label, key, evaluate[key], _interval(evaluate, key, count), evaluate["count"], meaning)
    if "copies" in evaluate:
        copies = evaluate["copies"]
        meaning = "predictions with every cell right: of every copy and start, by every checkpoint"
        yield _row("Exact, all predictions", "exact_accuracy", copies["exact_accuracy"], None, copies["count"], meaning)
    whole = "tasks whose every test input has" if unit(vote) == "task" else "puzzles that have"
    for key in telling(vote):
        first = key.removeprefix("pass@")
        meaning = f"{whole} the true answer " + ("first" if first == "1" else f"among the first {first} candidates")
        yield _row(key, key, vote[key], _interval(vote, key, "tasks"), vote["tasks"], meaning)
    for key, (label, meaning, count) in VOTE_ROWS.items():
        if key in vote:
            yield _row(label, key, vote[key], _interval(vote, key, count), vote.get(count, vote["tasks"]), meaning)


def _interval(scores: Mapping[str, Any], key: str, count: str) -> tuple[float, float] | None:
    """The interval of a share of a count, or the one on record; None where there is neither."""
    if count:
        return wilson(scores[key], scores[count])
    return (scores[f"{key}_low"], scores[f"{key}_high"]) if f"{key}_low" in scores else None


def _row(label: str, key: str, value: float, sure: tuple[float, float] | None, count: int, meaning: str) -> str:
    sureness = "" if sure is None else interval(sure)
    shown = f"{value:.2f}" if key == "steps" else per_cent(value)
    return (
        f'<tr role="row"><th role="rowheader" scope="row">{escape(label)}</th>'
        f'<td role="cell" class="number value">{shown}</td><td role="cell" class="number interval">{sureness}</td>'
        f'<td role="cell" class="number of">{count:,}</td>'
        f'<td role="cell" class="meaning">{escape(meaning)}</td></tr>'
    )
