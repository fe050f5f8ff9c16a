"""The figures: how many puzzles are solved, and how sure that number is. All are fractions in 0..1.

Shapes: E test examples, M predictions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.data.dataset import Dataset
from hrm.evaluation.bands import banded
from hrm.evaluation.bootstrap import bootstrap
from hrm.evaluation.predictions import Predictions
from hrm.evaluation.vote import Ranking
from hrm.puzzles.base import Ints, PuzzleKind

ARC_PRIZE_ATTEMPTS = 2
EVALUATED = ("exact_accuracy", "exact_accuracy_low", "exact_accuracy_high", "token_accuracy", "count")
"""What `evaluate.json` always has."""
VOTED = ("tasks", "test_inputs", "votes")
"""What `vote.json` always has."""


def score_names(puzzle: PuzzleKind, ks: Sequence[int]) -> list[str]:
    """Every score that `evaluate.json` or `vote.json` can hold, before either is there."""
    plain = ["exact_accuracy", "exact_accuracy_low", "exact_accuracy_high", "valid_accuracy", "token_accuracy"]
    plain += ["token_accuracy_low", "token_accuracy_high", "q_halt_accuracy", "steps"]
    prize = ["arc_prize", "arc_prize_low", "arc_prize_high"] if puzzle.arc_prize else []
    return [*plain, *(f"pass@{k}" for k in ks), "valid@1", *prize]


def wilson(fraction: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent cases (Wilson 1927, score interval); (0, 1) for no case."""
    if count == 0:
        return 0.0, 1.0
    z2 = 1.959963984540054**2
    centre = (fraction + z2 / (2 * count)) / (1 + z2 / count)
    margin = math.sqrt(z2 * (fraction * (1 - fraction) + z2 / (4 * count)) / count) / (1 + z2 / count)
    # At the ends the bound is exactly 0 or 1, which rounding may miss.
    low = 0.0 if fraction == 0 else max(0.0, centre - margin)
    high = 1.0 if fraction == 1 else min(1.0, centre + margin)
    return low, high


def mean_interval(shares_N: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of a mean of shares: a bootstrap over the cases.

    Where all are the same, drawing them anew knows no spread. Then it is the interval of a share of cases: no mean of
    shares spreads more widely.
    """
    same = bool((shares_N == shares_N[0]).all())
    return wilson(float(shares_N[0]), len(shares_N)) if same else bootstrap(shares_N)


def pass_at(k: int, truth_ranks_E: Ints, groups_E: Ints) -> float:
    """Share of tasks whose every test example has the true answer among its first `k` candidates (published rule)."""
    return float((solved_shares(k, truth_ranks_E, groups_E) == 1).mean())


def arc_prize(truth_ranks_E: Ints, groups_E: Ints) -> float:
    """The ARC Prize score: the share of a task's test inputs solved in two attempts, averaged over tasks."""
    return float(solved_shares(ARC_PRIZE_ATTEMPTS, truth_ranks_E, groups_E).mean())


def solved_shares(k: int, truth_ranks_E: Ints, groups_E: Ints) -> NDArray[np.float64]:
    """(T,) for each task the share of its test examples with the true answer among the first `k`."""
    _, task_E = np.unique(groups_E, return_inverse=True)
    return np.bincount(task_E, weights=truth_ranks_E < k) / np.bincount(task_E)


def evaluation_scores(predictions: Predictions, dataset: Dataset) -> dict[str, Any]:
    """The content of `evaluate.json`: scores of the original test puzzles, and under `copies` of all predictions.

    Exact accuracy counts a puzzle when every labelled token is right, and token accuracy is the mean of the puzzles'
    shares, as in the release's evaluation, with its bootstrap interval over puzzles. `valid_accuracy` is left out where
    rules alone cannot judge an answer. Puzzles with ratings are also scored by bands of these. `segments` are those of
    all predictions: the work that was done. A puzzle whose answer nobody knows has no labels, and is not scored.
    """
    segments = int(predictions.steps.sum())
    predictions = predictions.where(predictions.labelled_tokens > 0)
    if not len(predictions):
        return {**dict.fromkeys(EVALUATED, 0.0), "exact_accuracy_high": 1.0, "count": 0, "segments": segments}
    original_M = predictions.original
    originals, valid_M = predictions.where(original_M), _valid_predictions(predictions, dataset)
    valid_N = None if valid_M is None else valid_M[original_M]
    plain = _scores(originals, valid_N)
    low, high = wilson(float(plain["exact_accuracy"]), len(originals))
    token_low, token_high = mean_interval(originals.correct_tokens / originals.labelled_tokens)
    scores: dict[str, Any] = {
        "exact_accuracy": plain.pop("exact_accuracy"),
        "exact_accuracy_low": low,
        "exact_accuracy_high": high,
        **plain,
        "token_accuracy_low": token_low,
        "token_accuracy_high": token_high,
        "segments": segments,
    }
    scores |= banded(dataset, originals.examples, {"exact_accuracy": originals.exact, "valid_accuracy": valid_N})
    if len(originals) < len(predictions):
        scores["copies"] = _scores(predictions, valid_M)
    return scores


def _scores(predictions: Predictions, valid_N: NDArray[np.bool_] | None) -> dict[str, float | int]:
    scores: dict[str, float | int] = {"exact_accuracy": float(predictions.exact.mean())}
    if valid_N is not None:
        scores["valid_accuracy"] = float(valid_N.mean())
    share = predictions.correct_tokens / predictions.labelled_tokens
    return scores | {
        "token_accuracy": float(share.mean()),
        "q_halt_accuracy": float(((predictions.q_halt >= 0) == predictions.exact).mean()),
        "steps": float(predictions.steps.mean()),
        "count": len(predictions),
    }


def _valid_predictions(predictions: Predictions, dataset: Dataset) -> NDArray[np.bool_] | None:
    """Which predictions solve their own copy by the rules; in chunks, as questions take whole canvases."""
    verdicts = []
    for start in range(0, len(predictions), 4096):
        rows = slice(start, start + 4096)
        originals = dataset.test.questions.take(predictions.examples[rows])
        questions = dataset.puzzle.transform(originals, predictions.symmetries[rows])
        of_chunk = dataset.puzzle.are_valid(questions, predictions.answers.unpack(rows))
        if of_chunk is None:
            return None
        verdicts.append(of_chunk)
    return np.concatenate(verdicts)


def valid_first_answers(ranking: Ranking, dataset: Dataset) -> NDArray[np.bool_] | None:
    """(E,) whose first answer solves its question by the rules; None for a kind where only the truth can tell."""
    first = ranking.answers.take(ranking.starts[:-1])
    return dataset.puzzle.are_valid(dataset.test.questions.take(ranking.examples), first)


def vote_scores(
    ranking: Ranking, dataset: Dataset, ks: Sequence[int], valid_E: NDArray[np.bool_] | None
) -> dict[str, Any]:
    """The content of `vote.json`: pass@K, the kind's own scores, the counts they rest on, and pass@K by bands.

    The ARC Prize score is a mean of the tasks' shares, so its interval is a bootstrap over tasks.

    Args:
        ranking: the ranked answers.
        dataset: the dataset they answer.
        ks: each K.
        valid_E: what `valid_first_answers` says.
    """
    groups_E = dataset.test.groups[ranking.examples]
    scores: dict[str, Any] = {f"pass@{k}": pass_at(k, ranking.truth_ranks, groups_E) for k in ks}
    if valid_E is not None:
        scores["valid@1"] = float(valid_E.mean())
    if dataset.puzzle.arc_prize:
        shares_T = solved_shares(ARC_PRIZE_ATTEMPTS, ranking.truth_ranks, groups_E)
        scores["arc_prize"] = arc_prize(ranking.truth_ranks, groups_E)
        scores["arc_prize_low"], scores["arc_prize_high"] = mean_interval(shares_T)
    counts = {
        "tasks": len(np.unique(groups_E)),
        "test_inputs": len(ranking),
        "votes": int(ranking.num_votes.max()),
        "predictions": int(ranking.num_votes.sum()),
    }
    _, first_T = np.unique(groups_E, return_index=True)
    first_right = {"pass@1": ranking.truth_ranks == 0, "valid@1": valid_E}
    # Of parts as of the whole, a task counts when all of its test inputs do.
    whole = {
        name: None if of_E is None else np.logical_and.reduceat(of_E, first_T) for name, of_E in first_right.items()
    }
    return {**scores, **counts, **banded(dataset, ranking.examples[first_T], whole)}
