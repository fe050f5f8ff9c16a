"""Two versions puzzle by puzzle, as one self-contained HTML page in the style of the report."""

from __future__ import annotations

import tempfile
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from hrm.artifacts import read_json, write_text
from hrm.errors import UserError
from hrm.evaluation.drawn import drawing, figure
from hrm.puzzles import puzzle_from
from hrm.puzzles.base import Bytes, PuzzleKind
from hrm.serving.comparison import Comparison, share
from hrm.tracking.server import reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

DRAWN = 24
"""Puzzles drawn of those that one version alone solves; the others are listed."""
COLOURS = ("both", "first", "second", "none")


def write_page(client: MlflowClient, compared: Comparison, out: Path) -> None:
    """Write the page, atomically; puzzles are drawn where both runs still have the answers."""
    first, second = compared.versions
    answers = _answers(client, compared)
    page = Template(files("hrm.serving").joinpath("comparison.html").read_text(encoding="utf-8")).substitute(
        name=escape(first.name),
        first=first.version,
        second=second.version,
        style=files("hrm.evaluation").joinpath("report.css").read_text(encoding="utf-8"),
        verdict=escape(compared.verdict()),
        count=f"{compared.paired.count:,}",
        tiles="".join(_tile(compared, side) for side in (0, 1)),
        bar="".join(_part(compared, row) for row in range(4)),
        rows="".join(_row(compared, row) for row in range(4)),
        puzzles="".join(_section(compared, side, answers) for side in (0, 1)),
    )
    write_text(out, page)


def _tile(compared: Comparison, side: int) -> str:
    share_, _, interval = share(compared.outcomes[side]).partition(" exact ")
    return (
        f'<li class="tile"><p class="what">Version {compared.versions[side].version}</p><b>{share_}</b>'
        f"<p>exact<br>{interval.strip('()')}</p></li>"
    )


def _part(compared: Comparison, row: int) -> str:
    label, count = compared.rows()[row]
    return f'<span class="{COLOURS[row]}" style="flex-grow: {count}" title="{label}: {count:,}"></span>'


def _row(compared: Comparison, row: int) -> str:
    label, count = compared.rows()[row]
    share_ = count / compared.paired.count if compared.paired.count else 0.0
    return (
        f'<tr><th scope="row"><span class="key {COLOURS[row]}"></span>{label}</th>'
        f'<td class="number">{count:,}</td><td>{share_:.1%}</td></tr>'
    )


def _answers(client: MlflowClient, compared: Comparison) -> tuple[PuzzleKind, list[Any]] | None:
    """The kind of puzzle, and of both versions each puzzle's answers; None where a run has not, or no longer, these."""
    from mlflow.exceptions import MlflowException

    both = []
    with tempfile.TemporaryDirectory() as folder:
        for side, version in enumerate(compared.versions):
            if version.run_id is None:
                return None
            into = Path(folder) / str(side)
            into.mkdir()
            try:
                both.append(
                    read_json(Path(client.download_artifacts(version.run_id, "answers/answers.json", str(into))))
                )
            except (MlflowException, OSError, UserError):
                return None
    count = compared.paired.count
    if not all(isinstance(one, dict) and "puzzle" in one and len(one.get("answers", ())) == count for one in both):
        return None
    return puzzle_from(both[0]["puzzle"], "answers.json"), [one["answers"] for one in both]


def _section(compared: Comparison, side: int, answers: tuple[PuzzleKind, list[Any]] | None) -> str:
    """The puzzles that one version alone solves."""
    version, alone = compared.versions[side].version, compared.alone(side).tolist()
    title = f'<h2 id="alone-{side}">Solved by version {version} alone: {len(alone):,}</h2>'
    drawn = alone[:DRAWN] if answers is not None else []
    cards = "".join(_card(compared, side, number, answers) for number in drawn if answers is not None)
    rest = ", ".join(map(str, alone[len(drawn) :]))
    if rest:
        cards += f'<p class="numbers">Test puzzles by number, counted from 0: {rest}</p>'
    return f'<section aria-labelledby="alone-{side}">{title}{cards or "<p>None.</p>"}</section>'


def _card(compared: Comparison, side: int, number: int, answers: tuple[PuzzleKind, list[Any]]) -> str:
    puzzle, entries = answers
    entry = entries[side][number]
    question = _question(puzzle, entry)
    figures = "" if question is None else drawing("Question", "", question, puzzle.draw(question))
    for which in (0, 1):
        of = entries[which][number]
        caption = f"Version {compared.versions[which].version} {_mark(of)}"
        figures += _answer(puzzle, of, question, caption)
    several = f", test input {entry['test_input'] + 1}" if entry.get("test_input") else ""
    return (
        f'<article class="puzzle"><header><h3>{escape(str(entry.get("group", "")))}{several}</h3>'
        f'<span class="note">test puzzle {number}</span></header><div class="grids">{figures}</div></article>'
    )


def _mark(entry: Any) -> str:
    right = entry.get("truth_rank") == 1
    return f'<span class="mark {"good" if right else "bad"}">{"✓ right" if right else "✗ wrong"} after voting</span>'


def _question(puzzle: PuzzleKind, entry: Any) -> Bytes | None:
    """The question; None where it cannot be read, or an older version of this project left it out."""
    try:
        return puzzle.parse(entry["question"])
    except (ValueError, KeyError):
        return None


def _answer(puzzle: PuzzleKind, entry: Any, question: Bytes | None, caption: str) -> str:
    """The first answer after voting, with the clues of the question marked."""
    try:
        grid = puzzle.parse(entry["best"][0]["answer"])
        if not grid.size:
            raise ValueError("an empty grid")
    except (ValueError, KeyError, IndexError) as error:
        return figure(caption, "", f'<p class="none">Not drawn: {escape(reason(error))}</p>')
    return drawing(caption, "", grid, puzzle.draw(grid, question))
