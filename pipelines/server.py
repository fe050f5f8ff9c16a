"""A Kubeflow Pipelines server, as the commands use it."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hrm.errors import UserError

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""In a pod: the namespace it runs in."""
EQUALS = 1


class Server:
    """A server that answers; its namespace is settled."""

    def __init__(self, host: str, namespace: str | None) -> None:
        """Ask for the server's health, which tells whether it keeps its users apart in namespaces.

        Raises:
            UserError: when it cannot be reached or used, or wants a namespace.
        """
        import kfp_server_api as api

        from pipelines.connection import Connection

        self.host = address(host)
        connection = Connection(self.host)
        self._experiments = api.ExperimentServiceApi(connection)
        self._runs = api.RunServiceApi(connection)
        self._recurring = api.RecurringRunServiceApi(connection)
        health = api.HealthzServiceApi(connection).healthz_service_get_healthz()
        self.namespace = namespace or (own_namespace() if health.multi_user else None)
        if health.multi_user and not self.namespace:
            raise UserError(f"{self.host}: keeps its users apart; name yours with --namespace NAME")

    def experiment_id(self, name: str) -> str:
        """The id of the group of runs with this name; it is made when there is none."""
        from kfp_server_api import V2beta1Experiment

        predicate = {"operation": EQUALS, "key": "display_name", "stringValue": name}
        wanted = {"filter": json.dumps({"predicates": [predicate]}), **self._in_namespace()}
        found = self._experiments.experiment_service_list_experiments(**wanted).experiments
        experiment = found[0] if found else None
        if experiment is None:
            new = V2beta1Experiment(display_name=name, **self._in_namespace())
            experiment = self._experiments.experiment_service_create_experiment(experiment=new)
        return str(experiment.experiment_id)

    def submit(self, name: str, experiment_id: str, spec: dict[str, Any], parameters: dict[str, Any]) -> str:
        """Start a run of a compiled pipeline; its id."""
        from kfp_server_api import V2beta1Run, V2beta1RuntimeConfig

        run = V2beta1Run(
            display_name=name,
            experiment_id=experiment_id,
            pipeline_spec=spec,
            runtime_config=V2beta1RuntimeConfig(parameters=parameters),
        )
        return str(self._runs.run_service_create_run(run=run).run_id)

    def repeat(self, name: str, experiment_id: str, spec: dict[str, Any], parameters: dict[str, Any], cron: str) -> str:
        """Have a compiled pipeline run at the times of a cron expression with six fields, never twice at once; its id.

        Times that passed while the server was down are left out, not caught up.
        """
        import kfp_server_api as api

        recurring = api.V2beta1RecurringRun(
            display_name=name,
            experiment_id=experiment_id,
            pipeline_spec=spec,
            runtime_config=api.V2beta1RuntimeConfig(parameters=parameters),
            trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
            mode=api.RecurringRunMode.ENABLE,
            max_concurrency=1,
            no_catchup=True,
        )
        answer = self._recurring.recurring_run_service_create_recurring_run(recurring_run=recurring)
        return str(answer.recurring_run_id)

    def run(self, run_id: str) -> V2beta1Run:
        """One run, with its steps."""
        run: V2beta1Run = self._runs.run_service_get_run(run_id=run_id)
        return run

    def latest(self, count: int) -> list[V2beta1Run]:
        """The newest runs, the newest first."""
        answer = self._runs.run_service_list_runs(page_size=count, sort_by="created_at desc", **self._in_namespace())
        return answer.runs or []

    def page(self, run_id: str, kind: str = "runs") -> str:
        """The address of a run's page; `kind` is `recurringrun` for a recurring one."""
        return f"{self.host}/#/{kind}/details/{run_id}"

    def _in_namespace(self) -> dict[str, str]:
        return {"namespace": self.namespace} if self.namespace else {}


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that talks to a server."""
    parser.add_argument(
        "--host",
        default=os.environ.get("KFP_HOST", ""),
        metavar="URL",
        help="the server, such as https://kubeflow.example.org/pipeline (default: KFP_HOST); its token is read from "
        "KFP_TOKEN, or from the file that KF_PIPELINES_SA_TOKEN_PATH names",
    )
    parser.add_argument("--namespace", metavar="NAME", help="yours, on a server that keeps its users apart")


def connect(options: argparse.Namespace) -> Server:
    """The server that the options name.

    Raises:
        UserError: when there is none, or it cannot be used.
    """
    return Server(options.host, options.namespace)


def address(text: str) -> str:
    """The address of a server as requests begin with it: what follows `?` or `#` belongs to a page.

    Raises:
        UserError: when it is missing, is no address, or holds a password.
    """
    if not text:
        raise UserError("--host: which server? Give its address, or set KFP_HOST")
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise UserError("--host: no user or password in an address, which ends up in logs; put a token in KFP_TOKEN")
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete or " " in text:
        raise UserError(f"--host {text}: not an address; it looks like https://kubeflow.example.org/pipeline")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def own_namespace() -> str | None:
    """The namespace of the pod that this process runs in; None outside a cluster."""
    return NAMESPACE_FILE.read_text(encoding="utf-8").strip() if NAMESPACE_FILE.is_file() else None
