"""Settings for a run in which each stage has a machine of its own."""

from pathlib import Path
from typing import Any

import pytest
from small_clone import ROOT

from hrm.config import Experiment, load_experiment, read_params
from hrm.errors import UserError
from hrm.stages.resolve import planned, resolve

CATALOGUE = read_params(ROOT / "params.yaml")


def test_nothing_given_changes_nothing() -> None:
    assert resolve("arc-1", catalogue=CATALOGUE) == load_experiment("arc-1", ROOT / "params.yaml")


def test_the_file_of_the_folder_counts_where_none_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert resolve("arc-mini").name == "arc-mini"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"params\.yaml: no such file"):
        resolve("arc-mini")


def test_what_is_given_comes_before_the_settings() -> None:
    found = resolve(
        "sudoku-mini",
        ["train.seed=7", "register.name=mine"],
        catalogue=CATALOGUE,
        processes=8,
        register_as="theirs",
        minimum={"pass@2": 0.5},
        mirror="s3://bucket/runs",
    )
    assert (found.train.seed, found.train.processes) == (7, 8)
    assert found.train.checkpoints.mirror == "s3://bucket/runs"
    assert (found.register_.name, found.register_.minimum) == ("theirs", {"pass@2": 0.5})


def test_the_blocks_are_handed_on_in_order() -> None:
    """The component returns them in the order of the fields."""
    assert list(Experiment.model_fields) == ["name", "sources", "build", "train", "evaluate", "vote", "register_"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "unknown"}, "catalogue: experiments.unknown: no such experiment"),
        ({"overrides": ["train.bath_size=1"]}, "no such setting"),
        ({"processes": 7}, "batch_size = 128 must be divisible by the number of processes = 7"),
        ({"mirror": "/disk"}, "mirror"),
        ({"register_as": "a b"}, "register.name"),
        ({"minimum": {"pass@2": 70}}, "register.minimum.pass@2 = 70"),
        (
            {"overrides": ["build={puzzle: {kind: maze, size: 5}, published: x}"]},
            "no step of a pipeline has this folder",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(**{"name": "sudoku-mini", "catalogue": CATALOGUE, **arguments})  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "minimum", "said"),
    [
        (
            "sudoku-mini",
            {"exact_acuracy": 0.5},
            "register.minimum.exact_acuracy: sudoku-mini has no score exact_acuracy",
        ),
        ("sudoku-mini", {"arc_prize": 0.5}, "register.minimum.arc_prize: sudoku-mini has no score arc_prize"),
        ("arc-1", {"pass@3": 0.5}, "there are exact_accuracy, .*, pass@1, pass@2, .*, arc_prize$"),
        ("arc-1", {"count": 0.5}, "register.minimum.count: arc-1 has no score count"),
    ],
)
def test_a_score_that_will_never_be_is_refused_before_the_training(
    name: str, minimum: dict[str, float], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        resolve(name, catalogue=CATALOGUE, minimum=minimum)


def test_a_minimum_that_can_be_reached_is_taken() -> None:
    resolve("sudoku-mini", catalogue=CATALOGUE, minimum={"valid@1": 0.5, "pass@2": 0.5, "valid_accuracy": 0.5})
    resolve("arc-1", catalogue=CATALOGUE, minimum={"arc_prize": 0.3, "pass@1000": 0.5})


def test_a_sweep_is_each_experiment_with_each_seed() -> None:
    """Numbers come as floats from a framework that knows no others."""
    runs = planned(["sudoku-mini", "maze-mini"], [0.0, 3.0], metric="exact_accuracy", catalogue=CATALOGUE)
    assert runs == [("sudoku-mini", 0), ("sudoku-mini", 3), ("maze-mini", 0), ("maze-mini", 3)]
    assert all(isinstance(seed, int) for _, seed in runs)


@pytest.mark.parametrize(
    ("names", "seeds", "metric", "said"),
    [
        (["sudoku-mini"], [], "exact_accuracy", "no runs: give at least one experiment and one seed"),
        ([], [1], "exact_accuracy", "no runs"),
        (["sudoku-mini"], [1, 2, 1], "exact_accuracy", "sudoku-mini with seed 1: the same run twice"),
        (["sudoku-mini"], [1], "accuracy", "metric: sudoku-mini has no score accuracy; there are exact_accuracy"),
        (["arc-mini", "sudoku-mini"], [1], "arc_prize", "metric: sudoku-mini has no score arc_prize"),
        (["sudoku-mini"], [0.5], "exact_accuracy", "train.seed = 0.5"),
        (["sudoku-mini"], [-1], "exact_accuracy", "train.seed = -1"),
        (["sudoku-mini"], ["many"], "exact_accuracy", "train.seed = 'many'"),
    ],
)
def test_a_sweep_that_cannot_end_well_does_not_begin(
    names: list[str], seeds: list[Any], metric: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        planned(names, seeds, metric=metric, catalogue=CATALOGUE)
