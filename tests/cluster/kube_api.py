"""The state of a cluster, as far as a launcher sees it."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trainer_objects
from trainer_objects import JOBSET, NAMESPACE, now, pod_of


@dataclass
class Pod:
    """A pod, and its log: lines behind the time they came at."""

    body: dict[str, Any]
    lines: list[tuple[int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def is_over(self) -> bool:
        return self.body["status"]["phase"] in ("Succeeded", "Failed")


class KubeApi:
    """The state of the cluster; tests and the server's threads hold `changed` while they look at it or change it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.trainjobs: dict[str, dict[str, Any]] = {}
        self.pods: list[Pod] = []
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.calls: set[tuple[str, str, str]] = set()
        """Verb, group and resource, as rules of a Role name them."""
        self.on_create: Callable[[dict[str, Any]], None] = self.run_quietly
        self.on_delete: Callable[[str], None] = lambda name: None
        self.lingers = False
        """Whether a deleted TrainJob is there until it is removed."""
        self.cuts: list[int] = []
        """After so many lines the next streams of logs break off."""
        self.streams = 0
        self.refusals: list[int] = []
        """The statuses of the next answers."""

    def run_quietly(self, trainjob: dict[str, Any]) -> None:
        """All pods run, and say nothing."""
        for index in range(trainjob["spec"]["trainer"]["numNodes"]):
            self.add_pod(pod_of(trainjob, index), "Running")

    def add_pod(self, body: dict[str, Any], phase: str, **status: Any) -> Pod:
        with self.changed:
            pod = Pod({**body, "status": {"phase": phase, **status}})
            self.pods.append(pod)
            self.changed.notify_all()
        return pod

    def say(self, pod: Pod, line: str) -> None:
        with self.changed:
            pod.lines.append((time.time_ns(), line))
            self.changed.notify_all()

    def end_pod(self, pod: Pod, status: int, reason: str = "") -> None:
        with self.changed:
            end = {"exitCode": status, "reason": reason or ("Error" if status else "Completed"), "finishedAt": now()}
            about = {"name": "node", "image": "", "imageID": "", "ready": False, "restartCount": 0}
            statuses = [{**about, "state": {"terminated": end}}]
            phase = "Failed" if status else "Succeeded"
            pod.body["status"] = {"phase": phase, "containerStatuses": statuses}
            self.changed.notify_all()

    def end(self, name: str, kind: str, reason: str = "", message: str = "") -> None:
        """`Complete` or `Failed`."""
        with self.changed:
            about = {"status": "True", "lastTransitionTime": now()}
            condition = {"type": kind, "reason": reason or "JobsCompleted", "message": message, **about}
            self.trainjobs[name]["status"] = {"conditions": [condition]}
            self.changed.notify_all()

    def wait_for(self, holds: Callable[[], object], seconds: float = 60) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, seconds), "it did not come"

    # -- requests ------------------------------------------------------------------------------------------------------

    def create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if complaint := trainer_objects.refused(body):
            return 422, {"message": complaint}
        name = body["metadata"]["name"]
        with self.changed:
            if name in self.trainjobs:
                return 409, {"message": f"{name} already exists"}
            self.created.append(json.loads(json.dumps(body)))
            about = {"namespace": NAMESPACE, "creationTimestamp": now()}
            self.trainjobs[name] = body | {"metadata": {**body["metadata"], **about}}
            self.on_create(self.trainjobs[name])
            self.changed.notify_all()
            return 201, self.trainjobs[name]

    def delete(self, name: str, options: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        with self.changed:
            if name not in self.trainjobs:
                return 404, {"message": f"{name} not found"}
            assert options.get("propagationPolicy") == ["Foreground"], "else its pods outlive it"
            self.trainjobs[name]["metadata"]["deletionTimestamp"] = now()
            self.deleted.append(name)
            self.on_delete(name)
            if not self.lingers:
                self.remove(name)
            self.changed.notify_all()
        return 200, {"kind": "Status", "status": "Success"}

    def remove(self, name: str) -> None:
        """A TrainJob and its pods."""
        with self.changed:
            del self.trainjobs[name]
            self.pods = [pod for pod in self.pods if pod.body["metadata"]["labels"][JOBSET] != name]
            self.changed.notify_all()

    def selected(self, selector: str) -> list[dict[str, Any]]:
        wanted = dict(term.split("=") for term in selector.split(","))
        with self.changed:
            return [pod.body for pod in self.pods if wanted.items() <= pod.body["metadata"]["labels"].items()]
