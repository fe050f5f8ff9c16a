"""The report's gallery of failures: the unsolved puzzles that the model was surest of, and what is wrong in each."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.evaluation.compared import distance
from hrm.evaluation.drawn import answer_picture, drawing, title
from hrm.evaluation.markup import counted
from hrm.evaluation.vote import Ranking
from hrm.puzzles.base import Ints


def surest_failures(ranking: Ranking, solved_E: NDArray[np.bool_], count: int) -> Ints:
    """Rows of unsolved puzzles whose first answer the model is surest of, the surest first."""
    unsolved = np.flatnonzero(~solved_E)
    confidence = ranking.confidences[ranking.starts[unsolved]]
    return unsolved[np.argsort(-confidence, kind="stable")][:count]


def failures(ranking: Ranking, dataset: Dataset, solved_E: NDArray[np.bool_], count: int) -> str:
    """The gallery as HTML, with a sentence on what is in it.

    Args:
        ranking: the ranked answers.
        dataset: the dataset they answer.
        solved_E: which test puzzles the first answer solves.
        count: how many failures are drawn at most.
    """
    rows = surest_failures(ranking, solved_E, count).tolist()
    if not rows:
        return f'<p class="note">None: all {counted(len(ranking), "test puzzle")} are solved.</p>'
    unsolved = int((~solved_E).sum())
    note = (
        f"{len(rows):,} of {counted(unsolved, 'unsolved puzzle')}: those whose first answer the model is surest of, "
        "the surest first. A dashed frame marks a cell that is wrong or breaks a rule."
    )
    items = "".join(f"<li>{_failure(ranking, dataset, row)}</li>" for row in rows)
    return f'<p class="note">{note}</p><ul class="gallery">{items}</ul>'


def _failure(ranking: Ranking, dataset: Dataset, row: int) -> str:
    example, kept = int(ranking.examples[row]), int(ranking.starts[row])
    question, truth = dataset.test.questions.grid(example), dataset.test.answers.grid(example)
    answer = ranking.answers.grid(kept)
    wrong = distance(answer, truth)
    cells = f"{wrong:,} of {counted(truth.size, 'cell')} wrong"
    if answer.shape != truth.shape:
        (height, width), (of_height, of_width) = answer.shape, truth.shape
        cells = f"{height} × {width} cells instead of {of_height} × {of_width}"
    return (
        f"<h3>{escape(title(dataset, example))}</h3>"
        f'<p class="note">{cells}, confidence {100 * ranking.confidences[kept]:.0f} %</p>'
        f'<div class="grids">{answer_picture("Answer", "", answer, dataset, example)}'
        f"{drawing('True answer', '', truth, dataset.puzzle.draw(truth, question))}</div>"
    )
