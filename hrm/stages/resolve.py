"""Before a pipeline spends anything: an experiment's settings, complete and checked for where they are going to run."""

from __future__ import annotations

import json
import re
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
    for key, least in (minimum or {}).items():
        if isinstance(least, bool) or not isinstance(least, int | float):
            raise UserError(f"register.minimum.{key} = {least!r}: expected a number from 0 to 1")
        given[f"register.minimum.{key}"] = least
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
        check_score(experiment, f"register.minimum.{key}", key)
    return experiment


def check_score(experiment: Experiment, where: str, name: str) -> None:
    """Refuse a score that the experiment will not have, before it is trained for it.

    Raises:
        UserError: naming those that it will have; `where` is said before.
    """
    names = score_names(experiment.build.puzzle, experiment.vote.ks)
    if name not in names:
        raise UserError(f"{where}: {experiment.name} has no score {name!r}; there are {', '.join(names)}")


def processes_of(gpus: str, nodes: int = 1) -> int:
    """How many processes train together, one a GPU; 0 where there are no GPUs.

    Args:
        gpus: of each node, as text.
        nodes: how many.

    Raises:
        UserError: when either is no such number.
    """
    if not re.fullmatch("[0-9]{1,4}", gpus):
        raise UserError(f"gpus = {gpus}: expected a whole number, 0 for none")
    if nodes < 1:
        raise UserError(f"nodes = {nodes}: expected at least 1")
    return int(gpus) * nodes
