"""Before a pipeline spends anything: an experiment's settings, complete and checked for where they are going to run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hrm.config import Experiment, checked, find_experiment, load_experiment
from hrm.errors import UserError
from hrm.evaluation.score import score_names
from hrm.settings import whole_again


def resolve(
    name: str,
    overrides: Sequence[str] = (),
    *,
    catalogue: Mapping[str, Any] | None = None,
    processes: int = 0,
    register_as: str = "",
    minimum: Mapping[str, float] | None = None,
    mirror: str = "",
) -> Experiment:
    """The settings of an experiment for a run in which each stage has a machine of its own.

    Args:
        name: of the experiment.
        overrides: `key=value` as on the command line.
        catalogue: content of a params file; `params.yaml` in the current folder when left out or empty.
        processes: of the training, over all machines, one a GPU; the settings' when 0.
        register_as: name of the registered model; the settings' when empty.
        minimum: scores that a model must reach to be registered, besides those in the settings.
        mirror: `s3://bucket/prefix` that checkpoints are copied to; the settings' when empty.

    Raises:
        UserError: when the settings cannot be used, or cannot be used there.
    """
    given: dict[str, Any] = {"register.name": register_as, "train.checkpoints.mirror": mirror}
    given["train.processes"] = processes or ""
    given |= {f"register.minimum.{key}": least for key, least in (minimum or {}).items()}
    changes = [*overrides, *(f"{key}={json.dumps(value)}" for key, value in given.items() if value != "")]
    if catalogue:
        experiment = find_experiment(name, checked(whole_again(catalogue), "catalogue"), "catalogue", changes)
    else:
        experiment = load_experiment(name, Path("params.yaml"), changes)
    if experiment.build.published is not None:
        raise UserError(
            f"experiments.{name}.build.published: no step of a pipeline has this folder; take the puzzles from sources"
        )
    for key in experiment.register_.minimum:
        _require_score(experiment, key, f"register.minimum.{key}")
    return experiment


def planned(
    names: Sequence[str], seeds: Sequence[Any], overrides: Sequence[str] = (), *, metric: str, **given: Any
) -> list[tuple[str, int]]:
    """The runs of a sweep: each experiment with each seed, checked before anything is spent.

    Args:
        names: of the experiments.
        seeds: of their trainings.
        overrides: `key=value` as on the command line, for all.
        metric: the score that decides in the end.
        given: what `resolve` takes besides.

    Raises:
        UserError: when there is no run or one twice, the score can be none of theirs, or settings cannot be used.
    """
    runs = [(name, seed) for name in names for seed in whole_again(list(seeds))]
    if not runs:
        raise UserError("no runs: give at least one experiment and one seed")
    for name, seed in runs:
        if runs.count((name, seed)) > 1:
            raise UserError(f"{name} with seed {seed}: the same run twice, with one place for its checkpoints")
        _require_score(resolve(name, [*overrides, f"train.seed={json.dumps(seed)}"], **given), metric, "metric")
    return runs


def _require_score(experiment: Experiment, name: str, where: str) -> None:
    """Refuse the name of a score that no evaluation of this experiment can give, instead of after its training."""
    known = score_names(experiment.build.puzzle, experiment.vote.ks)
    if name not in known:
        raise UserError(f"{where}: {experiment.name} has no score {name}; there are {', '.join(known)}")
