"""Waiting for a run to end: a line when a step begins or ends, and patience with a server that is away for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hrm.progress import note, warn
from pipelines.connection import ServerError
from pipelines.outcome import ENDED, duration, failure, moment, pods, state_of, steps_of
from pipelines.server import Server

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run

PATIENCE = 1800.0
"""How long the server may be away before waiting for it ends, in seconds."""
LONGEST_PAUSE = 15.0
WAITING = 300.0
"""After so many seconds in which nothing runs, a person is told how to find out why."""


def follow(server: Server, run_id: str) -> None:
    """Wait until a run ends.

    Raises:
        UserError: when the server refuses, or is away for too long.
        SystemExit: when the run did not succeed, with the reason as its message.
    """
    seen: set[tuple[str, object, str]] = set()
    try:
        for run in _looks(server, run_id):
            for step in steps_of(run):
                key = (step.name, step.started, step.state)
                if step.started and key not in seen:
                    seen.add(key)
                    note(f"{step.name}: {step.state}" + (f", {step.lasted}" if step.state in ENDED else ""))
            if state_of(run) in ENDED:
                break
    except KeyboardInterrupt:
        note(f"the run goes on; look at it with `python -m pipelines status {run_id}`")
        raise
    if state_of(run) != "succeeded":
        raise SystemExit(failure(run, server.page(run_id)))
    note(f"{run.display_name}: succeeded, {duration(moment(run.created_at), moment(run.finished_at))}")


def _looks(server: Server, run_id: str) -> Iterator[V2beta1Run]:
    """The run as it is, again and again: often at first, then every quarter of a minute."""
    pause, answered, idle, told = 0.5, time.monotonic(), time.monotonic(), False
    while True:
        try:
            run = server.run(run_id)
        except ServerError as error:
            if not error.passing or time.monotonic() - answered > PATIENCE:
                raise
            warn(f"{error}; waiting on")
        else:
            answered = time.monotonic()
            yield run
            if any(step.state == "running" for step in steps_of(run)):
                idle = answered
            if not told and answered - idle > WAITING:
                told = True
                note(f"nothing runs yet; why, says: {pods(run, server.namespace)}")
        pause = min(LONGEST_PAUSE, 1.5 * pause)
        time.sleep(pause)
