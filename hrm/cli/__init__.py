"""The command `hrm`: a file for each group of verbs. Nothing is computed here."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import hrm
from hrm.cli import adapt, checkpoint, compare, data, experiment, registry, search, solve
from hrm.errors import in_a_line, without_credentials
from hrm.progress import speak

EPILOG = """\
A first run, from raw puzzles to a registered model:
  hrm fetch sudoku-mini && hrm build sudoku-mini && hrm train sudoku-mini
  hrm evaluate sudoku-mini && hrm vote sudoku-mini && hrm register sudoku-mini
`dvc repro` does the same for every experiment under run: in params.yaml, and only what changed.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives its exit status, see `carry_out`."""
    return carry_out(parser().parse_args(arguments))


def carry_out(options: argparse.Namespace) -> int:
    """Do what was parsed: `options.action`, as loud as `options` say.

    Returns:
        The exit status: 0; 2 for a mistake of the user, or what the machine cannot give (a full disk, memory); 130 when
        interrupted, 143 when terminated, 141 when nobody reads what is printed any more, as after `| head`.
    """
    speak(logging.WARNING if options.quiet else logging.DEBUG if options.verbose else logging.INFO)
    signal.signal(signal.SIGTERM, terminate)
    try:
        options.action(options)
        print(end="", flush=True)  # noqa: T201
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains when it ends
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("hrm: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except Exception as error:
        told = in_a_line(error, options.verb)
        if told is None:
            raise
        return _refuse(told)
    return 0


def _refuse(message: str) -> int:
    logging.getLogger("hrm").debug("where it happened:", exc_info=True)
    print(f"hrm: error: {without_credentials(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
    return 2


def terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """End as an error does, so that half-written artifacts are removed and trackers are told."""
    raise SystemExit(143)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="hrm", description=hrm.__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"hrm {hrm.__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    settings, loud = experiment.settings_options(), loudness()
    experiment.add_verbs(verbs, [settings, loud])
    solve.add_verb(verbs, [loud])
    compare.add_verb(verbs, [loud])
    search.add_verb(verbs, [settings, loud])
    adapt.add_verb(verbs, [settings, loud])
    registry.add_verbs(verbs, [loud])
    data.add_verbs(verbs, [loud])
    checkpoint.add_verbs(verbs, [settings, loud])
    return top


def loudness() -> argparse.ArgumentParser:
    """The options of every verb."""
    common = argparse.ArgumentParser(add_help=False)
    loudness = common.add_mutually_exclusive_group()
    loudness.add_argument("-q", dest="quiet", action="store_true", help="say nothing but warnings and errors")
    loudness.add_argument("-v", dest="verbose", action="store_true", help="say more")
    return common
