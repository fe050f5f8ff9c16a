"""`python -m benchmarks`: measure, print the tables, and on demand put them into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import adapt, build, checkpoint, evaluate, generators, loader, serve, step, vote
from benchmarks.clock import cores
from benchmarks.table import Table, put
from hrm.errors import UserError
from hrm.progress import note, speak

BENCHMARKS: dict[str, Callable[[bool], list[Table]]] = {
    "step": step.measure,
    "generators": generators.measure,
    "build": build.measure,
    "loader": loader.measure,
    "checkpoint": checkpoint.measure,
    "evaluate": evaluate.measure,
    "vote": vote.measure,
    "adapt": adapt.measure,
    "serve": serve.measure,
}
PAGE = Path("docs/benchmarks.md")


def main() -> int:
    """Run the command line, in the project's folder.

    Returns:
        The exit status: 0, or 2 for a mistake of the user.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; or all")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it works; the figures mean nothing"
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE} as well")
    options = parser.parse_args()
    if unknown := ", ".join(name for name in options.names if name not in BENCHMARKS):
        parser.error(f"{unknown}: no such benchmark; there are {', '.join(BENCHMARKS)}")
    speak(logging.INFO)
    # OMP_NUM_THREADS is for several processes on one machine. Here is one; a quick one, which others may run beside.
    torch.set_num_threads(1 if options.quick else cores())
    command = " ".join(["python -m benchmarks", *options.names, *["--quick"] * options.quick])
    try:
        for name in options.names or BENCHMARKS:
            tables = {table.heading: table.markdown(command) for table in BENCHMARKS[name](options.quick)}
            print("\n".join(tables.values()), flush=True)  # noqa: T201
            if options.write:
                put(PAGE, tables)
                note(f"{PAGE}: written")
    except UserError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
