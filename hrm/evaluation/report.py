"""The report: one self-contained HTML page an experiment, with its scores, curves, settings and puzzles drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import read_json, write_text
from hrm.data.dataset import Dataset
from hrm.evaluation.chart import Series, line_chart
from hrm.evaluation.drawn import choose, puzzle_card
from hrm.evaluation.score import wilson
from hrm.evaluation.vote import Ranking
from hrm.tracking.curves import read_curves
from hrm.tracking.flat import flat
from hrm.tracking.record import IMPORT

STAGES = ("build", "train", "evaluate", "vote")

# Charts in reading order; what is not named here follows, folded away.
CHARTS = {
    "exact_accuracy": "Exact accuracy",
    "loss": "Loss",
    "token_accuracy": "Token accuracy",
    "steps": "Steps a puzzle takes",
}

# Score: label, what it counts, and which count its interval rests on ("" for a mean, which has none).
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


def write_report(
    path: Path,
    name: str,
    ranking: Ranking,
    dataset: Dataset,
    run: Path,
    *,
    evaluate: Mapping[str, Any],
    vote: Mapping[str, Any],
    solved_E: NDArray[np.bool_],
    drawn_puzzles: int,
) -> None:
    """Write the page, atomically.

    Args:
        path: the HTML file.
        name: the experiment.
        ranking: the ranked answers.
        dataset: the dataset they answer.
        run: the experiment's folder with, where they are there, `curves.csv` and the provenance records.
        evaluate: the content of `evaluate.json`.
        vote: the content of `vote.json`.
        solved_E: which test puzzles the first answer solves, be it the known solution or another valid one.
        drawn_puzzles: how many puzzles are drawn.
    """
    records = dict(_records(run, dataset.path))
    rows = choose(solved_E, drawn_puzzles)
    num_solved = int(solved_E[rows].sum())
    room = files("hrm.evaluation")
    page = Template(room.joinpath("report.html").read_text(encoding="utf-8")).substitute(
        name=escape(name),
        style=room.joinpath("report.css").read_text(encoding="utf-8"),
        lede=_lede(dataset, evaluate, vote, imported=records.get("train", {}).get("stage") == IMPORT),
        tiles=_tiles(evaluate, vote),
        scores="".join(_score_rows(evaluate, vote)),
        curves=_curves(run / "curves.csv"),
        drawn=f"{len(rows):,} of {len(ranking):,} test puzzles, drawn evenly from the solved and the unsolved ones. "
        "Candidates are ranked by votes, then by the model's own confidence.",
        num_drawn=len(rows),
        num_solved=num_solved,
        num_unsolved=len(rows) - num_solved,
        puzzles="".join(puzzle_card(ranking, dataset, row, solved=bool(solved_E[row])) for row in rows.tolist()),
        settings=_settings(dataset, records),
        provenance=_provenance(dataset, records),
    )
    write_text(path, page)


# -- scores ------------------------------------------------------------------------------------------------------------


def _lede(dataset: Dataset, evaluate: Mapping[str, Any], vote: Mapping[str, Any], *, imported: bool) -> str:
    height, width = dataset.puzzle.canvas
    trained = "Trained elsewhere" if imported else f"Trained on {_counted(len(dataset.train_groups), _unit(vote))}"
    tasks = f" of {_counted(vote['tasks'], 'task')}" if _unit(vote) == "task" else ""
    unseen = "which that training may have seen" if imported else "whose answers training never sees"
    copies = f", each answered on up to {vote['copies']:,} symmetric copies that vote" if vote["copies"] > 1 else ""
    return (
        f"{escape(dataset.puzzle.title)} on a canvas of {height} × {width} cells. {trained}; scored on "
        f"{_counted(evaluate['count'], 'test puzzle')}{tasks}, {unseen}{copies}."
    )


def _unit(vote: Mapping[str, Any]) -> str:
    """What pass@K counts: tasks, where they can have several test inputs, else puzzles."""
    return "task" if vote["tasks"] < vote["test_inputs"] else "puzzle"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _tiles(evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> str:
    tiles = [_tile("Exact accuracy", evaluate["exact_accuracy"], evaluate["count"], "puzzle")]
    if "valid_accuracy" in evaluate:
        tiles.append(_tile("Valid answers", evaluate["valid_accuracy"], evaluate["count"], "puzzle"))
    # Without copies a vote adds nothing to the one answer.
    voted = [key for key in vote if key.startswith("pass@")][:2] if vote["copies"] > 1 else []
    tiles += [_tile(f"{key} after voting", vote[key], vote["tasks"], _unit(vote)) for key in voted]
    return "".join(tiles)


def _tile(title: str, value: float, count: int, unit: str) -> str:
    low, high = wilson(value, count)
    return (
        f'<li class="tile"><p class="what">{escape(title)}</p><b>{_per_cent(value)}</b>'
        f"<p>of {_counted(count, unit)}<br>95 % interval <span>{100 * low:.1f}–{100 * high:.1f} %</span></p></li>"
    )


def _score_rows(evaluate: Mapping[str, Any], vote: Mapping[str, Any]) -> Iterator[str]:
    for key, (label, meaning, count) in EVALUATE_ROWS.items():
        if key in evaluate:
            yield _row(label, key, evaluate[key], evaluate.get(count), evaluate["count"], meaning)
    if "copies" in evaluate:
        copies = evaluate["copies"]
        meaning = "copies of puzzles with every cell right"
        yield _row("Exact, all copies", "exact_accuracy", copies["exact_accuracy"], None, copies["count"], meaning)
    whole = "tasks whose every test input has" if _unit(vote) == "task" else "puzzles that have"
    for key in _telling(vote):
        first = key.removeprefix("pass@")
        meaning = f"{whole} the true answer " + ("first" if first == "1" else f"among the first {first} candidates")
        yield _row(key, key, vote[key], vote["tasks"], vote["tasks"], meaning)
    for key, (label, meaning, count) in VOTE_ROWS.items():
        if key in vote:
            yield _row(label, key, vote[key], vote.get(count), vote.get(count, vote["tasks"]), meaning)


def _telling(vote: Mapping[str, Any]) -> list[str]:
    """The pass@K up to the first K that takes in every candidate there can be."""
    keys = [key for key in vote if key.startswith("pass@")]
    enough = [place for place, key in enumerate(keys) if int(key.removeprefix("pass@")) >= vote["copies"]]
    return keys[: enough[0] + 1] if enough else keys


def _row(label: str, key: str, value: float, sure: int | None, count: int, meaning: str) -> str:
    interval = "" if sure is None else " to ".join(_per_cent(bound) for bound in wilson(value, sure))
    shown = f"{value:.2f}" if key == "steps" else _per_cent(value)
    return (
        f'<tr role="row"><th role="rowheader" scope="row">{escape(label)}</th>'
        f'<td role="cell" class="number value">{shown}</td><td role="cell" class="number interval">{interval}</td>'
        f'<td role="cell" class="number of">{count:,}</td>'
        f'<td role="cell" class="meaning">{escape(meaning)}</td></tr>'
    )


def _per_cent(fraction: float) -> str:
    return f"{100 * fraction:.1f}\N{NO-BREAK SPACE}%"


# -- curves ------------------------------------------------------------------------------------------------------------


def _curves(path: Path) -> str:
    rows = read_curves(path)
    charts: dict[str, dict[str, Series]] = {}
    for column in dict.fromkeys(column for values in rows.values() for column in values):
        points = [
            (step, values[column])
            for step, values in rows.items()
            if column in values and math.isfinite(values[column])
        ]
        part, _, metric = column.rpartition("/")
        if points:
            steps, measured = np.array(points, dtype=np.float64).T
            charts.setdefault(metric, {})[part or metric] = Series(steps, measured)
    if not charts:
        return '<p class="note">No curves were recorded for this run.</p>'
    shown = [line_chart(CHARTS[metric], charts[metric]) for metric in CHARTS if metric in charts]
    folded = [line_chart(metric.replace("_", " "), lines) for metric, lines in charts.items() if metric not in CHARTS]
    more = _details("More curves", f'<div class="charts">{"".join(folded)}</div>') if folded else ""
    return f'<div class="charts">{"".join(shown)}</div>{more}'


# -- settings and provenance -------------------------------------------------------------------------------------------


def _records(run: Path, dataset: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for stage in STAGES:
        path = (
            dataset.with_name(f"{dataset.name}.provenance.json")
            if stage == "build"
            else run / f"{stage}.provenance.json"
        )
        if path.is_file():
            yield stage, read_json(path)


def _settings(dataset: Dataset, records: Mapping[str, Mapping[str, Any]]) -> str:
    blocks = {stage: dict(flat(record.get("settings", {}))) for stage, record in records.items()}
    if "build" not in blocks:
        blocks = {"puzzle": dict(flat(dataset.puzzle.model_dump(mode="json"))), **blocks}
    return "".join(_details(stage.capitalize(), _list(values)) for stage, values in blocks.items())


def _provenance(dataset: Dataset, records: Mapping[str, Mapping[str, Any]]) -> str:
    blocks = {
        stage.capitalize(): dict(
            flat({key: value for key, value in record.items() if key not in ("stage", "settings")})
        )
        for stage, record in records.items()
    }
    notes = {key.replace("_", " "): count for key, count in dataset.notes.items()}
    counts = {"groups": len(dataset.names), "training examples": len(dataset.train), "test examples": len(dataset.test)}
    blocks = {"Dataset": {"digest": dataset.digest, **counts, **notes}, **blocks}
    return "".join(_details(title, _list(values)) for title, values in blocks.items())


def _list(values: Mapping[str, Any]) -> str:
    terms = "".join(
        f"<dt>{escape(key)}</dt><dd><code>{escape(_shown(value))}</code></dd>" for key, value in values.items()
    )
    return f"<dl>{terms}</dl>"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _details(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"
