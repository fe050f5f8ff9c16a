"""The answers artifact: the ranked candidates of each test puzzle, and the file for the ARC Prize."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import write_json, write_text, written_beside
from hrm.data.dataset import Dataset
from hrm.evaluation.same_tests import digest_of_tests
from hrm.evaluation.score import ARC_PRIZE_ATTEMPTS
from hrm.evaluation.tasks import Tasks
from hrm.evaluation.vote import UNSEEN, Ranking

FORMAT = 1


def write_answers(path: Path, ranking: Ranking, dataset: Dataset, valid_E: NDArray[np.bool_] | None = None) -> None:
    """Write the answers of a ranking as a folder, atomically.

    `answers.json` has one test puzzle a line: its group, which of the group's test inputs it is, the question, how many
    copies voted, how many different answers they gave, the rank of the true answer (1 the best, null when nobody gave
    it), where rules can tell whether the first answer is valid, and the best answers. Its header has the test puzzles'
    digest.

    For kinds with `arc_prize`, `submission.json` is in the format of the ARC Prize, and `tasks.csv` has for each task
    the K from which on pass@K counts it, and its share of the ARC Prize score.

    Args:
        path: the folder.
        ranking: the ranked answers to the first test puzzles.
        dataset: the dataset they answer.
        valid_E: which first answers are valid; None where only the truth can tell.
    """
    with written_beside(path) as folder:
        folder.mkdir()
        with (folder / "answers.json").open("w", encoding="utf-8") as stream:
            header = {
                "format": FORMAT,
                "puzzle": dataset.puzzle.model_dump(mode="json"),
                "test_digest": digest_of_tests(dataset, len(ranking)),
            }
            stream.write(json.dumps(header)[:-1] + ', "answers": [\n')
            lines = (json.dumps(entry, ensure_ascii=False) for entry in _entries(ranking, dataset, valid_E))
            stream.write(",\n".join(lines) + "\n]}\n")
        if dataset.puzzle.arc_prize:
            write_json(folder / "submission.json", submission(ranking, dataset))
            write_text(folder / "tasks.csv", Tasks.of(ranking, dataset).csv())


def _entries(ranking: Ranking, dataset: Dataset, valid_E: NDArray[np.bool_] | None) -> Iterator[dict[str, Any]]:
    ordinals = ordinals_in_group(dataset)
    for row, example in enumerate(ranking.examples.tolist()):
        truth_rank = int(ranking.truth_ranks[row])
        yield {
            "group": dataset.names[int(dataset.test.groups[example])],
            "test_input": int(ordinals[example]),
            "question": dataset.puzzle.format(dataset.test.questions.grid(example)),
            "votes": int(ranking.num_votes[row]),
            "different": int(ranking.num_candidates[row]),
            "truth_rank": None if truth_rank == UNSEEN else truth_rank + 1,
            **({} if valid_E is None else {"valid": bool(valid_E[row])}),
            "best": [
                {
                    "answer": dataset.puzzle.format(ranking.answers.grid(kept)),
                    "votes": int(ranking.votes[kept]),
                    "confidence": round(float(ranking.confidences[kept]), 6),
                }
                for kept in ranking.kept(row)
            ],
        }


def ordinals_in_group(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.int64]]:
    """For each test example which of its group's test inputs it is, counted from 0."""
    groups = np.asarray(dataset.test.groups)
    first_of_group = np.searchsorted(groups, groups, side="left")
    return np.arange(len(groups)) - first_of_group


def submission(ranking: Ranking, dataset: Dataset) -> dict[str, list[dict[str, list[list[int]]]]]:
    """The ARC Prize's file: for every task, for every test input in order, two attempts.

    An attempt is never an empty grid, which can never be right: the next candidate stands in for it, the first for a
    missing second, and a single black cell where there is no answer at all.
    """
    sizes = Counter(dataset.names[int(group)] for group in dataset.test.groups)
    tasks = {name: [_attempts([]) for _ in range(size)] for name, size in sizes.items()}
    ordinals = ordinals_in_group(dataset)
    for row, example in enumerate(ranking.examples.tolist()):
        grids = [ranking.answers.grid(kept).tolist() for kept in ranking.kept(row)]
        name = dataset.names[int(dataset.test.groups[example])]
        tasks[name][int(ordinals[example])] = _attempts([grid for grid in grids if grid and grid[0]])
    return tasks


def _attempts(grids: list[list[list[int]]]) -> dict[str, list[list[int]]]:
    first, second, *_ = [*grids[:ARC_PRIZE_ATTEMPTS], *grids[:1], [[0]], [[0]]]
    return {"attempt_1": first, "attempt_2": second}
