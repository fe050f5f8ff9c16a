"""Which runs a sweep has."""

from typing import Any

import pytest
from small_clone import ROOT

from hrm.config import read_params
from hrm.errors import UserError
from hrm.stages.plan import plan

CATALOGUE = read_params(ROOT / "params.yaml")
BOTH = ["sudoku-mini", "maze-mini"]


def planned(seeds: list[Any], experiments: list[str] = BOTH, metric: str = "pass@2") -> list[dict[str, Any]]:
    return plan(experiments, seeds, ["train.batch_size=64"], metric=metric, catalogue=CATALOGUE)


def test_each_experiment_has_each_seed() -> None:
    assert planned([0, 7]) == [
        {"experiment": "sudoku-mini", "seed": 0},
        {"experiment": "sudoku-mini", "seed": 7},
        {"experiment": "maze-mini", "seed": 0},
        {"experiment": "maze-mini", "seed": 7},
    ]


def test_kubeflow_makes_whole_numbers_floats() -> None:
    (run,) = planned([1000.0], ["maze-mini"])
    assert repr(run["seed"]) == "1000"


@pytest.mark.parametrize("seed", [1.5, -1, "1", None, True, [1], {"a": 1}, float("nan"), 2**53 + 1])
def test_a_seed_that_is_none_is_refused(seed: object) -> None:
    with pytest.raises(UserError, match="seed") as caught:
        planned([3, seed])
    assert "\n" not in str(caught.value)


def test_nothing_is_run_twice_or_for_nothing() -> None:
    with pytest.raises(UserError, match="seeds: 1 stands there twice"):
        planned([1, 2, 1.0])
    with pytest.raises(UserError, match="experiments: 'maze-mini' stands there twice"):
        planned([1], ["maze-mini", "maze-mini"])
    with pytest.raises(UserError, match="seeds: none"):
        planned([])
    with pytest.raises(UserError, match="experiments: none"):
        planned([1], [])


def test_the_score_that_decides_is_one_that_all_have() -> None:
    with pytest.raises(UserError, match="metric: sudoku-mini has no score 'arc_prize'; there are exact_accuracy, "):
        planned([1], metric="arc_prize")
