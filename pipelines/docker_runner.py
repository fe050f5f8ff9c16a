"""Steps as containers of this machine's docker engine.

KFP's own way to run a container has it removed as soon as it ends, and takes one that is gone when asked for its status
as a success: most failures are missed. Here a container is removed once its status is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docker.client import DockerClient
from docker.errors import DockerException, ImageNotFound
from kfp import local
from kfp.local import docker_task_handler

from hrm.errors import UserError
from hrm.tracking.server import public_uri
from pipelines.output import Failure, Output
from pipelines.signals import heeded

GRACE = 60
"""Seconds that a step has to end after a signal: a training writes a checkpoint."""
IMAGE_USER = 1000
"""Number of the image's user, and of its group."""
PASSED_ON = ("AWS_", "HRM_", "MLFLOW_TRACKING_", "MLFLOW_EXPERIMENT_", "WANDB_")
"""How the names begin of the variables that a step is given."""
OF_THIS_MACHINE = ("_BUNDLE", "_DIR", "_FILE", "_PATH", "_PROFILE")
"""How the names end of those that lead to files of this machine, which a container does not see."""


@contextmanager
def containers(output: Output) -> Iterator[local.DockerRunner]:
    """A runner that gives each step a container; it pulls no image, and all its containers are gone at the end.

    Raises:
        UserError: when the docker engine does not answer, or MLflow's records lie where no container sees them.
    """
    runner = local.DockerRunner(**_options(os.environ))
    _check_engine()
    ours = _Containers(output)
    theirs = docker_task_handler.run_docker_container
    docker_task_handler.run_docker_container = ours.run
    try:
        with heeded(ours.end):
            yield runner
    finally:
        docker_task_handler.run_docker_container = theirs


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a step is given: addresses, credentials and settings that the caller has for it.

    Not HRM_COMMIT: the image knows its own.

    Raises:
        UserError: when MLflow's address is a file.
    """
    if urlsplit(environment.get("MLFLOW_TRACKING_URI", "")).scheme in {"file", "sqlite"}:
        raise UserError(
            f"MLFLOW_TRACKING_URI = {public_uri(environment['MLFLOW_TRACKING_URI'])} is a file of this machine, which "
            "containers do not see; start a server with `mlflow server` and set its address, http://127.0.0.1:5000"
        )
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(PASSED_ON) and not name.endswith(OF_THIS_MACHINE) and name != "HRM_COMMIT"
    }


def _options(environment: Mapping[str, str]) -> dict[str, Any]:
    # With the machine's network, a step reaches servers of this machine under the addresses that the caller uses. The
    # processes of a training share memory, of which a container has 64 MB otherwise.
    options: dict[str, Any] = {"environment": passed_on(environment), "network_mode": "host", "shm_size": "1g"}
    if caller := os.geteuid():
        # What a step writes into the folder of artifacts then belongs to the caller, who can read and remove it. Root
        # can do so anyhow: the step stays the image's own user, and `_let_write` gives it the folder.
        options["user"] = f"{caller}:{os.getegid()}"
    return options


def _client() -> DockerClient:
    client: DockerClient = DockerClient.from_env()  # type: ignore[no-untyped-call]
    return client


def _check_engine() -> None:
    try:
        with closing(_client()):
            pass
    except DockerException as error:
        place = os.environ.get("DOCKER_HOST", "its usual socket")
        raise UserError(
            f"the docker engine at {place} does not answer; start it, set DOCKER_HOST, or leave --docker out"
        ) from error


class _Containers:
    def __init__(self, output: Output) -> None:
        self._output = output
        self._running: set[str] = set()
        self._asked: set[str] = set()

    def run(
        self, client: DockerClient, image: str, command: list[str], volumes: Mapping[str, Any], **options: Any
    ) -> int:
        """Run a step to its end and give its status; what KFP calls in the place of its own function."""
        step = self._output.begins(command)
        if not _exists(client, image):
            lacking = f"the docker engine has no image {image}; build it with `make image`, or pull it"
            # Not raised: KFP's threads would swallow it.
            self._output.failures.append(Failure(step, UserError.__name__, lacking))
            return 1
        for folder in volumes:
            _let_write(Path(folder))
        container = client.containers.create(image, command, volumes=volumes, **options)
        self._running.add(container.id)
        shown = 0
        try:
            container.start()
            for line in _lines(container.logs(stream=True, follow=True)):
                self._output.say(step, line)
                shown += 1
            status = int(container.wait()["StatusCode"])
        except BaseException:
            self._ask_to_end(client, container.id)
            with suppress(Exception):
                container.wait(timeout=GRACE)
                for line in list(_lines([container.logs()]))[shown:]:
                    self._output.say(step, line)
            raise
        finally:
            self._running.discard(container.id)
            container.remove(force=True, v=True)
        return self._output.ended(step, status)

    def end(self) -> None:
        """Ask the containers of all threads to end."""
        with closing(_client()) as client:  # that of the interrupted call may be in use
            for container in tuple(self._running):
                self._ask_to_end(client, container)

    def _ask_to_end(self, client: DockerClient, identity: str) -> None:
        """Send SIGTERM, once, to all processes but the first: that is KFP's shell, which would not pass it on."""
        if identity in self._asked:
            return
        self._asked.add(identity)
        with suppress(Exception):  # it has ended, or never started
            client.containers.get(identity).exec_run(["sh", "-c", "kill -TERM -1"])


def _exists(client: DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def _let_write(folder: Path) -> None:
    """Let the container's user write into a folder of this machine: its own, unless root called."""
    folder.mkdir(parents=True, exist_ok=True)  # docker would make it root's
    if os.geteuid() == 0:
        os.chown(folder, IMAGE_USER, IMAGE_USER)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream whose pieces begin and end anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
