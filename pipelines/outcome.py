"""What became of a run and of its steps, from what the server tells: states, times, and reasons where it knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_server_api import V2beta1PipelineTaskDetail, V2beta1Run

ENDED = ("succeeded", "failed", "skipped", "canceled")
FIRST_YEAR = 2000
"""A time that is not known comes as the year 1 or 1970."""


@dataclass(frozen=True)
class Step:
    """One step of a run, as far as it has come."""

    name: str
    state: str
    started: datetime | None
    ended: datetime | None
    message: str
    """Why it failed; empty where the server does not know."""

    @property
    def lasted(self) -> str:
        """How long it took, or takes so far."""
        return duration(self.started, self.ended)


def state_of(thing: V2beta1Run | V2beta1PipelineTaskDetail) -> str:
    """`pending`, `running`, or one of `ENDED`, of a run or a step."""
    state = str(thing.state or "pending").lower()
    return "pending" if state == "runtime_state_unspecified" else state


def moment(value: datetime | None) -> datetime | None:
    """A time that the server tells; None where it has none."""
    return value if value and value.year >= FIRST_YEAR else None


def duration(start: datetime | None, end: datetime | None) -> str:
    """The time between two moments, or until now, to the precision that a person wants."""
    if start is None:
        return "-"
    seconds = max(0, round(((end or datetime.now(UTC)) - start).total_seconds()))
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def steps_of(run: V2beta1Run) -> list[Step]:
    """The steps that have come into being, in the order of their start; those that wait for their start at the end.

    The server tells of every node of the workflow. Of these, steps are those that the pipeline itself names, and the
    drivers that failed: a driver prepares its step, which does not start without it.
    """
    names = step_names(run.pipeline_spec or {})
    found = []
    for task in (run.run_details.task_details if run.run_details else None) or []:
        name, state = str(task.display_name), state_of(task)
        own = name.removesuffix("-driver")
        wanted = own in names if names else name != "root" and not name.startswith("executor")
        if wanted and (own == name or state == "failed"):
            message = " ".join(str((task.error and task.error.message) or "").split())
            found.append(Step(name, state, moment(task.start_time), moment(task.end_time), message))
    return sorted(found, key=lambda step: (step.started is None, step.started or datetime.now(UTC), step.name))


def step_names(package: dict[str, Any]) -> set[str]:
    """The tasks of a compiled pipeline that do something themselves; empty when it is not known."""
    spec = package.get("pipeline_spec", package)
    components = spec.get("components", {})
    dags = [part["dag"] for part in (spec.get("root", {}), *components.values()) if "dag" in part]
    return {
        name
        for dag in dags
        for name, task in dag.get("tasks", {}).items()
        if "dag" not in components.get(task.get("componentRef", {}).get("name"), {})
    }


def failure(run: V2beta1Run, page: str) -> str:
    """Why a run has not succeeded: each failed step with its reason, and where to look.

    Args:
        run: one that has ended.
        page: its address.
    """
    failed = [step for step in steps_of(run) if step.state == "failed"]
    reasons = [f"{step.name}: {step.message or 'failed'}" for step in failed]
    if run.error and run.error.message:
        reasons.append(" ".join(run.error.message.split()))
    return f"{run.display_name}: {state_of(run)}: {'; '.join(reasons) or 'no step failed'}; its logs: {page}"


def pods(run: V2beta1Run, namespace: str | None) -> str:
    """The command that shows why a pod waits: the server tells neither of missing images nor of missing GPUs."""
    return f"kubectl get pods -n {namespace or 'kubeflow'} -l pipeline/runid={run.run_id}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
