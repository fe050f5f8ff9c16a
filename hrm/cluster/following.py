"""Following a TrainJob: the log of its first node, and how it ended."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

from urllib3.exceptions import HTTPError

from hrm.cluster.trainjobs import PAUSE, TrainJobs
from hrm.errors import UserError
from hrm.progress import note

OVERLAP = 30
"""Seconds of a log that are read twice when it is taken up again, as clocks and connections are not exact."""
LAST_LINES = 15
"""Of each failed node."""
INDEX = "batch.kubernetes.io/job-completion-index"
"""The label of a pod that says which node it is."""


def condition_of(job: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """The condition `Complete` or `Failed` of a TrainJob; None where it is not so."""
    conditions: list[dict[str, Any]] = job.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind and each["status"] == "True"), None)


def follow(jobs: TrainJobs, name: str) -> None:
    """Copy the log of the first node to standard output until the TrainJob is complete.

    Raises:
        UserError: when it was deleted meanwhile, or the API stays away.
        RuntimeError: when it failed, with the last lines of the nodes that failed.
    """
    log, waiting = Log(jobs), ""
    while True:
        job, pods = jobs.find(name), jobs.pods(name)
        first = [pod for pod in pods if index_of(pod) == 0]
        if first:
            log.copy(first[-1])
        if job is None:
            raise UserError(f"{name}: deleted while it was running; start again: the training goes on from its mirror")
        if failed := condition_of(job, "Failed"):
            raise RuntimeError(_failure(jobs, name, failed))
        if condition_of(job, "Complete"):
            return
        if (reason := _waiting(pods)) not in (waiting, ""):
            note(f"{name}: waiting ({reason})")
        waiting = reason
        time.sleep(PAUSE)


class Log:
    """What has been copied of a node's log, which may break off, or go on in another pod."""

    def __init__(self, jobs: TrainJobs) -> None:
        self._jobs = jobs
        self._pod, self._last, self._heard = "", "", 0.0

    def copy(self, pod: Any) -> None:
        """Copy what is new until the log ends; where it breaks off, it is taken up again."""
        if pod.metadata.name != self._pod:
            self._pod, self._last = pod.metadata.name, ""
        while self._breaks_off():
            pass

    def _breaks_off(self) -> bool:
        """Copy what is new; whether there may be more at once."""
        age, before = self._age(), self._last
        try:
            for line in self._jobs.follow(self._pod, age):
                self._tell(line)
        except HTTPError:
            return self._last > before
        return False

    def _age(self) -> int | None:
        """How many seconds back the lines may be that are new."""
        return math.ceil(time.monotonic() - self._heard) + OVERLAP if self._last else None

    def _tell(self, line: str) -> None:
        # Times have one length, so that they are in order as texts.
        stamp, _, text = line.partition(" ")
        if stamp > self._last:
            self._last, self._heard = stamp, time.monotonic()
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()


def index_of(pod: Any) -> int:
    """Which node a pod is."""
    return int(pod.metadata.labels[INDEX])


def _waiting(pods: list[Any]) -> str:
    """Why a node does not run, such as a lack of GPUs; empty when all do."""
    for pod in pods:
        for condition in pod.status.conditions or []:
            if condition.type == "PodScheduled" and condition.status == "False":
                return f"node {index_of(pod)}: {condition.message or condition.reason}"
        for container in pod.status.container_statuses or []:
            if (held := container.state.waiting) and held.reason:
                return f"node {index_of(pod)}: {held.reason}"
    return ""


def _failure(jobs: TrainJobs, name: str, failed: Mapping[str, Any]) -> str:
    """Why a TrainJob failed: in the cluster's words, and in those of its nodes, the first that ended first."""
    pods = {index_of(pod): pod for pod in jobs.pods(name) if pod.status.phase == "Failed"}
    ended = {index: end for index, pod in pods.items() if (end := _end(pod)) is not None}
    told = [f"TrainJob {name} failed: {failed.get('reason')}: {failed.get('message')}"]
    for index, end in sorted(ended.items(), key=lambda item: item[1].finished_at):
        told.append(f"node {index}: {end.reason}, exit status {end.exit_code}")
        told += [f"  {line}" for line in jobs.tail(pods[index].metadata.name, LAST_LINES)]
    return "\n".join(told)


def _end(pod: Any) -> Any:
    """The end of a pod's container."""
    return next((each.state.terminated for each in pod.status.container_statuses or []), None)
