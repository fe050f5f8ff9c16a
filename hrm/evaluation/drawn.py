"""The report's drawn puzzles: which ones, and how one looks."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.evaluation.answers import ordinals_in_group
from hrm.evaluation.compared import different
from hrm.evaluation.vote import UNSEEN, Ranking
from hrm.puzzles.base import Bytes, Ints
from hrm.puzzles.drawing import with_marks

ANSWERS_DRAWN = 2


def choose(solved_E: NDArray[np.bool_], count: int, traced_E: NDArray[np.bool_] | None = None) -> Ints:
    """Rows of a ranking to draw: evenly spread, half of them solved by the first answer where there are enough.

    Args:
        solved_E: which puzzles are solved.
        count: how many to draw.
        traced_E: which have more to show, and go before others.
    """
    solved, unsolved = np.flatnonzero(solved_E), np.flatnonzero(~solved_E)
    num_solved = min(len(solved), max(count // 2, count - len(unsolved)))
    num_unsolved = min(len(unsolved), count - num_solved)
    traced = np.zeros(len(solved_E), np.bool_) if traced_E is None else traced_E
    sides = [_spread(solved, num_solved, traced), _spread(unsolved, num_unsolved, traced)]
    return np.sort(np.concatenate(sides))


def _spread(rows: Ints, count: int, traced_E: NDArray[np.bool_]) -> Ints:
    first, others = rows[traced_E[rows]], rows[~traced_E[rows]]
    return np.concatenate([_even(first, min(count, len(first))), _even(others, max(count - len(first), 0))])


def _even(rows: Ints, count: int) -> Ints:
    return rows[np.arange(count) * len(rows) // max(count, 1)]


def puzzle_card(ranking: Ranking, dataset: Dataset, row: int, *, solved: bool, more: str = "") -> str:
    """One puzzle as HTML: question, true answer, the first two candidates with their votes, and what else there is."""
    example = int(ranking.examples[row])
    question = dataset.test.questions.grid(example)
    truth = dataset.test.answers.grid(example)
    rank = int(ranking.truth_ranks[row])
    figures = [
        drawing("Question", "", question, dataset.puzzle.draw(question)),
        drawing("True answer", "", truth, dataset.puzzle.draw(truth, question)),
    ]
    for place, kept in enumerate(ranking.kept(row)[:ANSWERS_DRAWN]):
        figures.append(_candidate(ranking, dataset, row, kept, place, question))
    if len(figures) < 2 + ANSWERS_DRAWN:
        figures.append(figure("Second answer", "", '<p class="none">None: all votes agree</p>'))
    of_copies = f" of {ranking.num_candidates[row]:,} candidates" if ranking.num_candidates[row] > 1 else ""
    verdict = "not among the candidates" if rank == UNSEEN else f"true answer ranked {rank + 1}{of_copies}"
    return (
        f'<article class="puzzle {"solved" if solved else "unsolved"}">'
        f"<header><h3>{escape(title(dataset, example))}</h3>"
        f'<span class="note">{verdict}</span></header>'
        f'<div class="grids">{"".join(figures)}</div>{more}</article>'
    )


def title(dataset: Dataset, example: int) -> str:
    """What a test example is called."""
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
    return answer_picture(caption, confidence, answer, dataset, int(ranking.examples[row]), valid=bool(valid))


def answer_picture(
    caption: str, small: str, answer: Bytes, dataset: Dataset, example: int, *, valid: bool = False
) -> str:
    """An answer drawn, with a frame around each cell that differs from the true one unless it is valid all the same."""
    if not answer.size:
        return figure(caption, small, '<p class="none">An empty grid</p>')
    picture = dataset.puzzle.draw(answer, dataset.test.questions.grid(example))
    wrong = None if valid else different(answer, dataset.test.answers.grid(example))
    return drawing(caption, small, answer, with_marks(picture, wrong=wrong))


def drawing(caption: str, small: str, grid: Bytes, svg: str) -> str:
    """A drawn grid; the style sheet keeps the cells of a small one from growing huge."""
    return figure(caption, small, f'<div class="grid" style="--columns: {grid.shape[1]}">{svg}</div>')


def figure(caption: str, small: str, content: str) -> str:
    """Something with its caption, and a note in small print below that unless it is empty."""
    note = f"<small>{small}</small>" if small else ""
    return f"<figure><figcaption>{caption}{note}</figcaption>{content}</figure>"
