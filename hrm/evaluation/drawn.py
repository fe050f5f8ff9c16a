"""The report's drawn puzzles: which ones, and how one looks."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.evaluation.answers import ordinals_in_group
from hrm.evaluation.vote import UNSEEN, Ranking
from hrm.puzzles.base import Bytes, Ints

ANSWERS_DRAWN = 2


def choose(solved_E: NDArray[np.bool_], count: int) -> Ints:
    """Rows of a ranking to draw: evenly spread, half of them solved by the first answer where there are enough."""
    solved, unsolved = np.flatnonzero(solved_E), np.flatnonzero(~solved_E)
    num_solved = min(len(solved), max(count // 2, count - len(unsolved)))
    num_unsolved = min(len(unsolved), count - num_solved)
    return np.sort(np.concatenate([_spread(solved, num_solved), _spread(unsolved, num_unsolved)]))


def _spread(rows: Ints, count: int) -> Ints:
    return rows[np.arange(count) * len(rows) // max(count, 1)]


def puzzle_card(ranking: Ranking, dataset: Dataset, row: int, *, solved: bool) -> str:
    """One puzzle as HTML: question, true answer, and the first two candidates with their votes."""
    example = int(ranking.examples[row])
    question = dataset.test.questions.grid(example)
    truth = dataset.test.answers.grid(example)
    rank = int(ranking.truth_ranks[row])
    figures = [
        _drawing("Question", "", question, dataset.puzzle.draw(question)),
        _drawing("True answer", "", truth, dataset.puzzle.draw(truth, question)),
    ]
    for place, kept in enumerate(ranking.kept(row)[:ANSWERS_DRAWN]):
        figures.append(_candidate(ranking, dataset, row, kept, place, question))
    if len(figures) < 2 + ANSWERS_DRAWN:
        figures.append(_figure("Second answer", "", '<p class="none">None: all votes agree</p>'))
    of_copies = f" of {ranking.num_candidates[row]:,} candidates" if ranking.num_candidates[row] > 1 else ""
    verdict = "not among the candidates" if rank == UNSEEN else f"true answer ranked {rank + 1}{of_copies}"
    return (
        f'<article class="puzzle {"solved" if solved else "unsolved"}">'
        f"<header><h3>{escape(_title(dataset, example))}</h3>"
        f'<span class="note">{verdict}</span></header>'
        f'<div class="grids">{"".join(figures)}</div></article>'
    )


def _title(dataset: Dataset, example: int) -> str:
    group = int(dataset.test.groups[example])
    rating = int(dataset.test.ratings[example])
    several = (dataset.test.groups == group).sum() > 1
    ordinal = f", test input {ordinals_in_group(dataset)[example] + 1}" if several else ""
    return f"{dataset.names[group]}{ordinal}" + (f", rated {rating:,}" if rating else "")


def _candidate(ranking: Ranking, dataset: Dataset, row: int, kept: int, place: int, question: Bytes) -> str:
    answer = ranking.answers.grid(kept)
    valid = dataset.puzzle.is_valid(question, answer)
    if ranking.truth_ranks[row] == place:
        mark = '<span class="mark good">✓ right</span>'
    elif valid:
        mark = '<span class="mark good">✓ valid, another solution</span>'
    else:
        mark = '<span class="mark bad">✗ wrong</span>'
    votes, of = int(ranking.votes[kept]), int(ranking.num_votes[row])
    shared = f"{votes:,} of {of:,} votes, " if of > 1 else ""
    confidence = f"{shared}confidence {100 * ranking.confidences[kept]:.0f} %"
    caption = f"{('First', 'Second')[place]} answer {mark}"
    if not answer.size:
        return _figure(caption, confidence, '<p class="none">An empty grid</p>')
    return _drawing(caption, confidence, answer, dataset.puzzle.draw(answer, question))


def _drawing(caption: str, small: str, grid: Bytes, svg: str) -> str:
    """A drawn grid; the style sheet keeps the cells of a small one from growing huge."""
    return _figure(caption, small, f'<div class="grid" style="--columns: {grid.shape[1]}">{svg}</div>')


def _figure(caption: str, small: str, content: str) -> str:
    note = f"<small>{small}</small>" if small else ""
    return f"<figure><figcaption>{caption}{note}</figcaption>{content}</figure>"
