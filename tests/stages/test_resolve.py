"""Settings for a run in which each stage has a machine of its own."""

from datetime import date
from pathlib import Path

import pytest
from small_clone import ROOT

from hrm.config import load_experiment, read_params
from hrm.errors import UserError
from hrm.stages.resolve import processes_of, resolve

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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "unknown"}, "catalogue: experiments.unknown: no such experiment"),
        ({"overrides": ["train.bath_size=1"]}, "no such setting"),
        ({"processes": 7}, "batch_size = 128 must be divisible by the number of processes = 7"),
        ({"mirror": "/disk"}, "mirror"),
        ({"register_as": "a b"}, "register.name"),
        ({"minimum": {"pass@2": 70}}, "register.minimum.pass@2 = 70"),
        ({"minimum": {"pass@3": 0.1}}, "register.minimum.pass@3: sudoku-mini has no score 'pass@3'; there are exact_"),
        ({"minimum": {"": 0.1}}, "has no score ''"),
        ({"minimum": {"pass@2": date(2026, 1, 1)}}, "expected a number"),
        ({"minimum": {"pass@2": True}}, "expected a number"),
        ({"overrides": ["train.seed=9007199254740993"]}, "train.seed = 9007199254740993"),
        ({"register_as": "x" * 101}, "at most 100 characters"),
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


def test_a_mirror_with_a_password_is_refused_and_the_password_not_shown() -> None:
    with pytest.raises(UserError, match="mirror") as caught:
        resolve("sudoku-mini", catalogue=CATALOGUE, mirror="s3://ann:secret@bucket/runs")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("gpus", ["", "many", "-1", "1.0", "1e3", "\u0663", "\u00b2", " 1", "9" * 5000])
def test_gpus_are_a_number_in_plain_digits(gpus: str) -> None:
    with pytest.raises(UserError, match=r"gpus = .*: expected a whole number"):
        processes_of(gpus)


def test_processes_are_those_of_all_nodes() -> None:
    assert processes_of("8", 2) == 16
    assert processes_of("0", 2) == 0
    with pytest.raises(UserError, match="nodes = 0"):
        processes_of("8", 0)
