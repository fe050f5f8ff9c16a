"""`status`: the latest runs of a server, or the steps of one run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pipelines.outcome import duration, moment, pods, state_of, steps_of, table
from pipelines.server import Server, add_server_options, connect

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run

SHOWN = 15
"""Runs."""


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """`status`."""
    parser = verbs.add_parser("status", parents=parents, help="show what runs on a server", description=__doc__)
    parser.add_argument("run", nargs="?", metavar="RUN_ID", help="a run; when left out, the latest ones are listed")
    add_server_options(parser)
    parser.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    server = connect(options)
    print(described(server.run(options.run), server) if options.run else listed(server))  # noqa: T201


def listed(server: Server) -> str:
    """The latest runs, a line each."""
    rows = [("NAME", "STATE", "STARTED", "DURATION", "RUN_ID")]
    for run in server.latest(SHOWN):
        started = moment(run.created_at)
        shown = f"{started.astimezone():%Y-%m-%d %H:%M}" if started else "-"
        rows.append((run.display_name, state_of(run), shown, _lasted(run), run.run_id))
    return table(rows) if len(rows) > 1 else f"no runs at {server.host} yet"


def described(run: V2beta1Run, server: Server) -> str:
    """One run: its state, its steps, and what is known of the failed and the waiting ones."""
    steps = steps_of(run)
    lines = [f"{run.display_name}: {state_of(run)}, {_lasted(run)}"]
    if steps:
        lines += ["", table([("STEP", "STATE", "DURATION"), *((s.name, s.state, s.lasted) for s in steps)]), ""]
    lines += [f"{step.name}: {step.message}" for step in steps if step.message]
    if run.error and run.error.message:
        lines.append(" ".join(run.error.message.split()))
    details = (run.run_details.task_details if run.run_details else None) or []
    if any(state_of(task) == "pending" for task in details):
        lines.append(f"waits for a node, a GPU, its image or a secret; which, says: {pods(run, server.namespace)}")
    return "\n".join([*lines, server.page(run.run_id)])


def _lasted(run: V2beta1Run) -> str:
    return duration(moment(run.created_at), moment(run.finished_at))
