"""The platform of docker/compose.yaml without containers: a real PostgreSQL, SeaweedFS and MLflow on free ports.

What can be shared is shared: the scripts that start the servers, the settings and their secrets, and the environment
that compose.yaml gives to each service.
"""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from s3_server import S3Server, free_ports, running_s3

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)
LOCAL = {
    "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
}
"""All that a server inherits: it finds its program, and nothing of the user's own counts besides."""


@dataclass(frozen=True)
class Platform:
    tracking_uri: str
    username: str
    password: str
    s3: S3Server
    """With the platform's own key."""
    team: S3Server
    """With the team's key."""
    settings: Mapping[str, str]
    """What platform.env would hold."""
    logs: tuple[Path, ...]

    @property
    def account(self) -> tuple[str, str]:
        """Who signs in, and with what."""
        return self.username, self.password

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }


@contextmanager
def running_platform(folder: Path) -> Iterator[Platform]:
    """The three servers, with data and logs below a folder, until the block ends."""
    settings = new_settings()
    keys = {"key": settings["S3_PLATFORM_KEY"], "secret": settings["S3_PLATFORM_SECRET"]}
    s3_environment = {**LOCAL, **service_environment("s3", settings), "TMPDIR": str(folder)}
    script = DOCKER / "platform/s3.sh"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        running_postgres(folder / "postgres.log", service_environment("postgres", settings)) as database,
        running_s3(folder / "s3", script=script, environment=s3_environment, **keys) as s3,
        running_mlflow(folder / "mlflow", database, s3, service_environment("mlflow", settings)) as uri,
    ):
        yield Platform(
            tracking_uri=uri,
            username="admin",
            password=settings["MLFLOW_AUTH_ADMIN_PASSWORD"],
            s3=s3,
            team=S3Server(s3.port, settings["S3_TEAM_KEY"], settings["S3_TEAM_SECRET"]),
            settings=settings,
            logs=(folder / "postgres.log", folder / "s3/log", folder / "mlflow/log"),
        )


def new_settings() -> dict[str, str]:
    """Settings as `make platform-up` makes them, with new secrets."""
    filled = runpy.run_path(str(DOCKER / "platform/new_env.py"))["filled"]
    lines = filled((DOCKER / "platform.env.example").read_text()).splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def service_environment(service: str, settings: Mapping[str, str]) -> dict[str, str]:
    """What compose.yaml tells a service, with its variables filled in as Compose does."""
    told = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"][service]["environment"]
    return {name: re.sub(r"\$\{(\w+):[^}]*\}", lambda found: settings[found[1]], text) for name, text in told.items()}


@contextmanager
def running_postgres(log: Path, told: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A PostgreSQL with one database, as the image makes it of its environment; what libpq needs to find it."""
    if POSTGRES is None:
        pytest.fail("no PostgreSQL in /usr/lib/postgresql; .ci/services installs it")
    # It refuses to run as root, and its user may not enter the folders of tests.
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    port = next(free_ports())
    with tempfile.TemporaryDirectory(prefix="postgres-") as name, log.open("wb") as output:
        data, password = Path(name, "data"), Path(name, "password")
        password.write_text(told["POSTGRES_PASSWORD"])
        for path in (Path(name), password):
            shutil.chown(path, owner.get("user", os.geteuid()))
        place = {"cwd": name, "env": {}, "stdout": output, "stderr": subprocess.STDOUT, **owner}
        made = ["--auth=scram-sha-256", f"--username={told['POSTGRES_USER']}", f"--pwfile={password}"]
        initdb = [POSTGRES / "initdb", *made, *told["POSTGRES_INITDB_ARGS"].split(), "--no-sync", data]
        subprocess.run(initdb, check=True, **place)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        process = subprocess.Popen([POSTGRES / "postgres", "-D", data, "-p", str(port), *options], **place)
        try:
            found = {"PGHOST": "127.0.0.1", "PGPORT": str(port)}
            secret = {"PGUSER": told["POSTGRES_USER"], "PGPASSWORD": told["POSTGRES_PASSWORD"]}
            make = [POSTGRES / "createdb", "--maintenance-db=postgres", told["POSTGRES_DB"]]
            wait_for(lambda: _succeeds([POSTGRES / "pg_isready", "-q"], found), process, log)
            subprocess.run(make, env={**found, **secret}, check=True)
            yield found
        finally:
            process.send_signal(signal.SIGINT)  # "fast": clients are disconnected
            process.wait()


@contextmanager
def running_mlflow(folder: Path, database: Mapping[str, str], s3: S3Server, told: Mapping[str, str]) -> Iterator[str]:
    """The MLflow server, started by the script of the image in an empty folder; its address."""
    folder.mkdir()
    port = next(free_ports())
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, DOCKER / "platform/serve.py", "--host=127.0.0.1", f"--port={port}"]
    environment = {**LOCAL, "HOME": str(folder), **s3.environment, **told, **database, "AWS_ENDPOINT_URL": s3.endpoint}
    with (folder / "log").open("wb") as output:
        place = {"cwd": folder, "env": environment, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, start_new_session=True, **place)
    try:
        wait_for(lambda: _answers(f"{uri}/health"), process, folder / "log")
        yield uri
    finally:
        # Its workers are in its process group; none may outlive it.
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, seconds: float = 120) -> None:
    """Wait until a server is ready; show its log where it ends or is never so."""
    until = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"{process.args}: did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _succeeds(command: list[Path | str], environment: Mapping[str, str]) -> bool:
    return subprocess.run(command, env=environment, check=False).returncode == 0


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for all tests; each takes names of its own."""
    with running_platform(tmp_path_factory.mktemp("platform") / "servers") as servers:
        yield servers
