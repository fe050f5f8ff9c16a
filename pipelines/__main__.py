"""`python -m pipelines`: compile, run, submit, status; a module each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hrm.cli import carry_out, loudness
from pipelines import compile, draw, local, status, submit

VERBS = (compile, draw, local, submit, status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is that of `hrm.cli.main`."""
    return carry_out(parser().parse_args(arguments))


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(prog="python -m pipelines", description="The chain on Kubeflow Pipelines.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in VERBS:
        module.add_verb(verbs, [loudness()])
    return top


if __name__ == "__main__":
    sys.exit(main())
