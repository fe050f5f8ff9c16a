"""Verbs of an experiment: a stage each, and what else is done with its run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hrm.config import Experiment, load_experiment, run_list


class Place:
    """Where the artifacts of an experiment lie: beside the params file."""

    def __init__(self, root: Path, name: str) -> None:
        self.raw = root / "data/raw"
        self.dataset = root / "data/built" / name
        self.run = root / "runs" / name
        self.checkpoints = self.run / "checkpoints"


def fetch(experiment: Experiment, place: Place) -> None:
    """Get the raw puzzles of an experiment's sources into data/raw."""
    from hrm.stages.fetch import fetch

    fetch(experiment.sources, place.raw)


def build(experiment: Experiment, place: Place) -> None:
    """Build the dataset data/built/EXPERIMENT from the raw puzzles."""
    from hrm.stages.build import build

    build(experiment.build, place.raw, place.dataset)


def train(experiment: Experiment, place: Place) -> None:
    """Train the model, or go on where a stopped training left off; checkpoints and curves go to runs/EXPERIMENT."""
    from hrm.stages.train import train

    train(experiment.train, place.dataset, place.run, experiment.name)


def evaluate(experiment: Experiment, place: Place) -> None:
    """Predict the test puzzles with the newest checkpoint; scores go to runs/EXPERIMENT/evaluate.json."""
    from hrm.stages.evaluate import evaluate

    evaluate(experiment.evaluate, place.dataset, place.checkpoints, place.run)


def vote(experiment: Experiment, place: Place) -> None:
    """Let the symmetric copies of each test puzzle vote; scores go to vote.json, pictures to report.html."""
    from hrm.stages.vote import vote

    vote(experiment.vote, place.dataset, place.run, experiment.name)


def register(experiment: Experiment, place: Place) -> None:
    """Register the model in MLflow, under the experiment's name if the settings give no other."""
    from hrm.stages.register import register

    register(experiment.register_, place.dataset, place.run, experiment.name)


def track(experiment: Experiment, place: Place) -> None:
    """Log a finished training run to MLflow that could not be logged while it ran."""
    from hrm.tracking import log_finished

    log_finished(place.run, experiment.name, place.dataset)


def scores(experiment: Experiment, place: Place) -> None:
    """Print the scores of a finished experiment in a line."""
    from hrm.evaluation.summary import summary

    print(summary(experiment.name, place.run))  # noqa: T201


VERBS: dict[str, Callable[[Experiment, Place], None]] = {
    verb.__name__: verb for verb in (fetch, build, train, evaluate, vote, register, track, scores)
}


def add_verbs(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Each verb, for one experiment or for all under `run:`."""
    for name, verb in VERBS.items():
        one = verbs.add_parser(name, parents=parents, help=verb.__doc__, description=verb.__doc__)
        one.set_defaults(action=_run)
        one.add_argument(
            "experiment",
            nargs="?",
            metavar="EXPERIMENT",
            help="a name under experiments: in the params file; when left out, each one under run:",
        )


def settings_options() -> argparse.ArgumentParser:
    """The options of every verb that reads settings."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--params", type=Path, default=Path("params.yaml"), metavar="FILE", help="settings (default: params.yaml)"
    )
    common.add_argument(
        "-o",
        dest="override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, e.g. -o train.batch_size=64 or -o sources.sudoku-4x4.generator.seed=7; repeatable",
    )
    return common


def chosen(options: argparse.Namespace) -> Iterator[tuple[Experiment, Place]]:
    """The experiments that the command line names.

    Raises:
        UserError: when one is unknown, or its settings cannot be used.
    """
    for name in run_list(options.params) if options.experiment is None else [options.experiment]:
        yield load_experiment(name, options.params, options.override), Place(options.params.parent, name)


def _run(options: argparse.Namespace) -> None:
    for experiment, place in chosen(options):
        VERBS[options.verb](experiment, place)
