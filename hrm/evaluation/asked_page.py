"""A page of answers to tasks whose outputs need not be known: what was demonstrated, what was asked, and answered."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from hrm.artifacts import write_text
from hrm.data.dataset import Dataset
from hrm.evaluation.drawn import ANSWERS_DRAWN, drawing, figure, title
from hrm.evaluation.markup import counted
from hrm.evaluation.plain_page import plain_page
from hrm.evaluation.vote import RANKED, Ranking

PLACES = ("First", "Second")


def write_asked_page(path: Path, name: str, did: str, ranking: Ranking, dataset: Dataset, drawn_puzzles: int) -> None:
    """Write the page, atomically: self-contained, without a script.

    Args:
        path: the HTML file.
        name: its title.
        did: what was done, in a sentence.
        ranking: the ranked answers.
        dataset: the dataset they answer.
        drawn_puzzles: how many test inputs are drawn.
    """
    rows = range(min(drawn_puzzles, len(ranking)))
    body = (
        '<main>\n<section id="puzzles" aria-labelledby="drawn">\n'
        f'<h2 id="drawn">Test inputs and answers</h2>\n<p class="note">{len(rows):,} of '
        f"{counted(len(ranking), 'test input')}. Answers are ranked {RANKED[ranking.rule]}.</p>\n"
        f"{''.join(_card(ranking, dataset, row) for row in rows)}\n</section>\n</main>\n"
        "<footer>This page needs no other file and no network.</footer>"
    )
    write_text(path, plain_page(name, "answers", did, body))


def _card(ranking: Ranking, dataset: Dataset, row: int) -> str:
    """One test input: its task's demonstrations, then the input with its answers."""
    example, puzzle = int(ranking.examples[row]), dataset.puzzle
    figures = []
    shown = np.flatnonzero(np.asarray(dataset.originals.groups) == dataset.test.groups[example])
    for number, demonstration in enumerate(shown.tolist(), start=1):
        for side, grids in (("input", dataset.originals.questions), ("output", dataset.originals.answers)):
            grid = grids.grid(demonstration)
            figures.append(drawing(f"Demonstration {number}", side, grid, puzzle.draw(grid)))
    question = dataset.test.questions.grid(example)
    asked = [drawing("Test input", "", question, puzzle.draw(question))]
    for place, kept in zip(PLACES, ranking.kept(row)[:ANSWERS_DRAWN], strict=False):
        votes = f"{int(ranking.votes[kept]):,} of {int(ranking.num_votes[row]):,} votes"
        answer = ranking.answers.grid(kept)
        caption = f"{place} answer"
        empty = figure(caption, votes, '<p class="none">An empty grid</p>')
        asked.append(drawing(caption, votes, answer, puzzle.draw(answer)) if answer.size else empty)
    return (
        f'<article class="puzzle"><header><h3>{escape(title(dataset, example))}</h3></header>'
        f'<div class="grids">{"".join(figures)}</div>'
        f'<div class="grids" style="margin-top: 1.5rem">{"".join(asked)}</div></article>'
    )
