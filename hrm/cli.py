"""The command `hrm`: one verb a stage. Nothing is computed here."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hrm
from hrm.config import Experiment, load_experiment, run_list
from hrm.errors import UserError
from hrm.progress import speak

EPILOG = """\
A first run, from raw puzzles to a registered model:
  hrm fetch sudoku-mini && hrm build sudoku-mini && hrm train sudoku-mini
  hrm evaluate sudoku-mini && hrm vote sudoku-mini && hrm register sudoku-mini
`dvc repro` does the same for every experiment under run: in params.yaml, and only what changed.
"""


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
    """Register the model in MLflow under the experiment's name."""
    from hrm.stages.register import register

    register(experiment.register_, place.dataset, place.run, experiment.name)


def track(experiment: Experiment, place: Place) -> None:
    """Log a finished training run to MLflow that could not be logged while it ran."""
    from hrm.tracking import log_finished

    log_finished(place.run, experiment.name, place.dataset)


def scores(experiment: Experiment, place: Place) -> None:
    """Print the scores of a finished experiment in a line."""
    from hrm.evaluation.score import summary

    print(summary(experiment.name, place.run))  # noqa: T201


def import_(options: argparse.Namespace, experiment: Experiment, place: Place) -> None:
    """Make runs/NAME of a checkpoint file of the release; then evaluate, vote and register as after a training."""
    from hrm.stages.checkpoint import import_checkpoint

    import_checkpoint(options.file, experiment, place.dataset, place.run, step=options.step)


def export(options: argparse.Namespace, experiment: Experiment, place: Place) -> None:
    """Write the newest checkpoint of runs/EXPERIMENT as one file that the release's evaluate.py loads."""
    from hrm.stages.checkpoint import export_checkpoint

    export_checkpoint(place.checkpoints, options.out)


VERBS: dict[str, Callable[[Experiment, Place], None]] = {
    verb.__name__: verb for verb in (fetch, build, train, evaluate, vote, register, track, scores)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0; 2 for a mistake of the user, or what the machine cannot give (a full disk, memory); 130 when
        interrupted, 143 when terminated.
    """
    options = parser().parse_args(arguments)
    speak(logging.WARNING if options.quiet else logging.DEBUG if options.verbose else logging.INFO)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        for name in run_list(options.params) if options.experiment is None else [options.experiment]:
            experiment = load_experiment(name, options.params, options.override)
            verb = VERBS.get(options.verb) or partial(options.action, options)
            verb(experiment, Place(options.params.parent, name))
    except UserError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or options.verb}: {error.strerror or error}")
    except MemoryError as error:
        return _refuse(f"{options.verb}: not enough memory ({error}); lower the sizes in the settings")
    except KeyboardInterrupt:
        print("hrm: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _refuse(message: str) -> int:
    logging.getLogger("hrm").debug("where it happened:", exc_info=True)
    print(f"hrm: error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return 2


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """End as an error does, so that half-written artifacts are removed and trackers are told."""
    raise SystemExit(143)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="hrm", description=hrm.__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"hrm {hrm.__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = _common()
    for name, verb in VERBS.items():
        one = verbs.add_parser(name, parents=[common], help=verb.__doc__, description=verb.__doc__)
        one.add_argument(
            "experiment",
            nargs="?",
            metavar="EXPERIMENT",
            help="a name under experiments: in the params file; when left out, each one under run:",
        )
    _add_checkpoint(verbs, common)
    return top


def _common() -> argparse.ArgumentParser:
    """The options of every verb."""
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
    loudness = common.add_mutually_exclusive_group()
    loudness.add_argument("-q", dest="quiet", action="store_true", help="say nothing but warnings and errors")
    loudness.add_argument("-v", dest="verbose", action="store_true", help="say more")
    return common


def _add_checkpoint(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Take a checkpoint file of the release, or make one."""
    group = verbs.add_parser("checkpoint", help=_add_checkpoint.__doc__, description=_add_checkpoint.__doc__)
    actions = group.add_subparsers(required=True, metavar="import|export")
    take = actions.add_parser("import", parents=[common], help=import_.__doc__, description=import_.__doc__)
    take.set_defaults(action=import_)
    take.add_argument("file", type=Path, metavar="FILE", help="a saved state dict, or a .safetensors of the same names")
    take.add_argument("--recipe", dest="experiment", required=True, metavar="NAME", help="the model's experiment")
    take.add_argument("--step", type=int, default=0, metavar="N", help="optimizer steps behind the weights, if known")
    give = actions.add_parser("export", parents=[common], help=export.__doc__, description=export.__doc__)
    give.set_defaults(action=export)
    give.add_argument("experiment", metavar="EXPERIMENT", help="a name under experiments: in the params file")
    give.add_argument("--out", type=Path, required=True, metavar="FILE", help="step_N tells the release the step")
