"""MLflow's scoring server, as `mlflow models serve` starts it: a process of its own, on a free port of this machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from platform_server import wait_for
from s3_server import free_ports


@dataclass(frozen=True)
class ScoringServer:
    uri: str
    log: Path

    def post(self, body: str | bytes | None, content_type: str | None = "application/json") -> requests.Response:
        headers = {} if content_type is None else {"Content-Type": content_type}
        return requests.post(f"{self.uri}/invocations", data=body, headers=headers, timeout=60)

    def ask(self, **request: Any) -> list[dict[str, Any]]:
        """The predictions for a request that is right."""
        response = self.post(json.dumps(request))
        assert response.status_code == 200, response.text
        predictions: list[dict[str, Any]] = response.json()["predictions"]
        return predictions


def mlflow_environment(tracking_uri: str) -> dict[str, str]:
    """For MLflow's own command line in a subprocess: ours is not on its path, its programs are."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "MLFLOW_TRACKING_URI": tracking_uri, "PATH": programs}


@contextmanager
def scoring_server(folder: Path, model: str, tracking_uri: str) -> Iterator[ScoringServer]:
    """A server of a registered model, until the block ends; `folder` is its own."""
    port = next(free_ports())
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = ScoringServer(f"http://127.0.0.1:{port}", folder / "log")
    with server.log.open("wb") as output:
        place = {"cwd": folder, "env": mlflow_environment(tracking_uri), "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, start_new_session=True, **place)
    try:
        wait_for(lambda: _is_up(server), process, server.log)
        yield server
    finally:
        # uvicorn is its child; neither may outlive the test.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(server: ScoringServer) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{server.uri}/ping", timeout=5).status_code == 200
    return False
