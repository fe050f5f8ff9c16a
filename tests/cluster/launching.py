"""A launcher, and a cluster that hands it a finished run without training one."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from kube_api import KubeApi

from hrm.cluster import Job
from hrm.cluster.stored import store
from hrm.config import TrainSettings

PROGRAM = """
import logging, sys
from pathlib import Path
from hrm.cluster import Job, train_on_nodes
from hrm.config import TrainSettings
from hrm.progress import speak

speak(logging.INFO)
settings, job = TrainSettings.model_validate_json(sys.argv[1]), Job.model_validate_json(sys.argv[2])
train_on_nodes(settings, Path(sys.argv[3]), Path(sys.argv[4]), "tiny", job)
"""


def start_launcher(settings: TrainSettings, job: Job, dataset: Path, run: Path) -> "subprocess.Popen[str]":
    """In a process of its own."""
    command = [sys.executable, "-c", PROGRAM, settings.model_dump_json(), job.model_dump_json()]
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([*command, str(dataset), str(run)], env=variables, stderr=subprocess.PIPE, text=True)


def work_in(trainjob: dict[str, Any]) -> dict[str, Any]:
    """What the nodes of a TrainJob are told."""
    work: dict[str, Any] = json.loads(trainjob["spec"]["trainer"]["args"][-1])
    return work


def complete(api: KubeApi, trainjob: dict[str, Any], finished: Path) -> None:
    """The nodes are done, and have handed over a run."""
    store(finished, work_in(trainjob)["run"])
    for pod in api.pods:
        api.end_pod(pod, 0)
    api.end(trainjob["metadata"]["name"], "Complete")


def completing(api: KubeApi, finished: Path) -> None:
    """From now on every TrainJob that is asked for completes soon."""

    def on_create(trainjob: dict[str, Any]) -> None:
        api.run_quietly(trainjob)
        threading.Timer(0.1, complete, [api, trainjob, finished]).start()

    api.on_create = on_create
