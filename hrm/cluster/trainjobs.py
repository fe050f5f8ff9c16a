"""The TrainJobs of a namespace and their pods, as the Kubernetes API tells them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from urllib3.exceptions import HTTPError

from hrm.cluster.job import Job, Work
from hrm.cluster.request import CONTAINER, options_of, trainer_of
from hrm.errors import UserError
from hrm.progress import note

PLACE = ("trainer.kubeflow.org", "v1alpha1")
KIND = "trainjobs"
PATIENCE = 600.0
"""Seconds that the API may be away, while it is upgraded, before the launcher gives up."""
PAUSE = 2.0
"""Seconds between two looks."""
SILENCE = 60.0
"""Seconds after which a log that says nothing is asked for anew: its connection may be dead."""
REMEDY = "apply pipelines/manifests/trainjob.yaml to the namespace"


class TrainJobs:
    """A client of one namespace."""

    def __init__(self, namespace: str | None) -> None:
        """Connect to the cluster that this process runs in, else to the one of the kubeconfig file.

        Raises:
            UserError: when the SDK is missing, or no cluster is configured.
        """
        try:
            from kubeflow.trainer import KubernetesBackendConfig, TrainerClient
            from kubernetes.config.config_exception import ConfigException
        except ImportError:
            raise UserError(
                "kubeflow is not installed; to train on several nodes, `pip install 'hrm-mlops[cluster]'`"
            ) from None
        try:
            self._sdk = TrainerClient(KubernetesBackendConfig(namespace=namespace))
        except ConfigException as error:
            raise UserError(f"no cluster to train on: {error}; run this inside of one, or set KUBECONFIG") from None
        backend: Any = self._sdk.backend
        self.namespace: str = backend.namespace
        self._objects, self._core = backend.custom_api, backend.core_api

    def create(self, name: str, job: Job, work: Work) -> None:
        """Ask for a TrainJob; one of this name that is there already stays as it is.

        Raises:
            UserError: when the cluster refuses it.
        """
        from kubernetes.client.exceptions import ApiException

        try:
            self._sdk.train(runtime=job.runtime, trainer=trainer_of(job), options=options_of(name, job, work))
        except RuntimeError as error:  # the SDK's own, without the reason
            cause = error.__cause__
            if not isinstance(cause, ApiException):
                raise
            if cause.status != 409:
                raise _refusal(cause, f"{error}") from None

    def find(self, name: str) -> dict[str, Any] | None:
        """The object of this name; None when there is none."""
        found: dict[str, Any] | None = self._asked(self._objects.get_namespaced_custom_object, name)
        return found

    def delete(self, name: str) -> None:
        """Delete a TrainJob, if it is there; it is gone when its pods are."""
        self._asked(self._objects.delete_namespaced_custom_object, name, propagation_policy="Foreground")

    def wait_until_gone(self, name: str) -> None:
        """Wait for the pods of a deleted TrainJob, which may still write a checkpoint."""
        while self.find(name) is not None:
            time.sleep(PAUSE)

    def pods(self, name: str) -> list[Any]:
        """The pods of a TrainJob's nodes, oldest first: those that were replaced are among them."""
        selector = f"jobset.sigs.k8s.io/jobset-name={name},jobset.sigs.k8s.io/replicatedjob-name={CONTAINER}"
        pods = _patient(self._core.list_namespaced_pod, self.namespace, label_selector=selector)
        return sorted(pods.items if pods else [], key=lambda pod: pod.metadata.creation_timestamp)

    def follow(self, pod: str, seconds: int | None) -> Iterator[str]:
        """The lines of a pod's log, each behind its time, until it ends; none where there is no log.

        Args:
            pod: its name.
            seconds: how old lines may be; None for all.

        Raises:
            HTTPError: when the connection breaks, or is silent for long.
            UserError: when the API refuses.
        """
        from kubernetes.client.exceptions import ApiException
        from kubernetes.watch import watch

        lines_of: Any = watch.iter_resp_lines
        since = {} if seconds is None else {"since_seconds": seconds}
        try:
            stream = self._log(pod, follow=True, timestamps=True, _preload_content=False, **since)
            try:
                yield from lines_of(stream)
            finally:
                stream.close()
        except ApiException as error:  # the pod has not begun yet, or is gone
            if error.status in (401, 403):
                raise _refusal(error, f"the log of {pod}") from None

    def tail(self, pod: str, lines: int) -> list[str]:
        """The last lines of a pod's log; none when they cannot be had any more."""
        from kubernetes.client.exceptions import ApiException

        try:
            text: str = self._log(pod, tail_lines=lines)
        except (HTTPError, ApiException):
            return []
        return text.splitlines()

    def _log(self, pod: str, **options: Any) -> Any:
        return self._core.read_namespaced_pod_log(
            pod, self.namespace, container=CONTAINER, _request_timeout=(10, SILENCE), **options
        )

    def _asked(self, call: Callable[..., Any], name: str, **options: Any) -> Any:
        return _patient(call, *PLACE, self.namespace, KIND, name, **options)


def _patient(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The API's answer, also where it is away for a while; None when what is asked for is not there.

    Raises:
        UserError: when the API refuses, or stays away.
    """
    from kubernetes.client.exceptions import ApiException

    until = time.monotonic() + PATIENCE
    while True:
        try:
            return call(*arguments, _request_timeout=30, **options)
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status is not None and error.status < 500 and error.status != 429:
                raise _refusal(error, "the cluster") from None
            problem: Exception = error
        except HTTPError as error:
            problem = error
        if time.monotonic() > until:
            raise UserError(f"the Kubernetes API cannot be reached ({type(problem).__name__}); start again later")
        note(f"waiting for the Kubernetes API ({type(problem).__name__})")
        time.sleep(PAUSE)


def _refusal(error: Any, what: str) -> UserError:
    """What the API says of a request that it does not carry out, and the remedy, in a line."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason
    remedies = {401: REMEDY, 403: REMEDY, 404: "install Kubeflow Trainer and its runtimes, or name another runtime"}
    remedy = remedies.get(error.status, "change the job's settings")
    return UserError(f"{what}: refused with {error.status} ({' '.join(str(message).split())}); {remedy}")
