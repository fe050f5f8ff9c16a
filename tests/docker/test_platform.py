"""The platform as a team meets it: accounts, permissions, and where things come to lie."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import made_up_versions
import pytest
import requests
import small_run
import yaml
from botocore.exceptions import ClientError
from platform_server import ROOT, Platform

from hrm.data.dataset import open_dataset
from hrm.serving.by_hand import promote
from hrm.serving.champion import decide
from hrm.serving.history import State
from hrm.tracking.server import connect

pytestmark = pytest.mark.services

HRM = Path(sysconfig.get_path("scripts")) / "hrm"
PARAMS = {
    "run": ["small"],
    "sources": {"small": {"origin": "generate", "generator": {"kind": "sudoku", "train": 4, "test": 4}}},
    "experiments": {
        "small": {
            "build": {"puzzle": {"kind": "sudoku", "box": [2, 2]}, "sources": ["small"]},
            "train": json.loads(small_run.SETTINGS.model_dump_json(exclude_unset=True)),
            "register": {"description": "Solves small Sudokus."},
        }
    },
}
STRANGER = """
import json, sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict(pd.DataFrame({"puzzle": sys.argv[2:]})).to_dict("records")))
"""
SECRETS = re.compile(r"PASSWORD|SECRET|_KEY")


def run(folder: Path, environment: Mapping[str, str], *command: str | Path) -> "subprocess.CompletedProcess[str]":
    """A command with this of MLflow and S3 in its environment, and nothing else of them."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_TRACKING", "AWS_"))}
    own |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment}
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of the experiment `small`."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    made = small_run.sudoku_dataset(folder / "made")
    dataset = folder / "data/built/small"
    dataset.parent.mkdir(parents=True)
    made.path.rename(dataset)
    small_run.finished_run(folder / "runs/small", open_dataset(dataset), steps=150)
    return folder


@pytest.fixture(scope="module")
def registered(platform: Platform, place: Path) -> "subprocess.CompletedProcess[str]":
    """What `hrm register` said, signed in."""
    return run(place, platform.environment, HRM, "register", "small", "-v")


@pytest.fixture(scope="module")
def ann(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the user that the documentation makes, by its own words."""
    page = (ROOT / "docs/platform.md").read_text()
    script = "".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    done = run(tmp_path_factory.mktemp("ann"), platform.environment, sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    password = done.stdout.rsplit(maxsplit=1)[1]
    return {**platform.environment, "MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": password}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/2.0/mlflow/experiments/search?max_results=1",
        "/api/2.0/mlflow/registered-models/search",
        "/api/2.0/mlflow-artifacts/artifacts?path=0",
        "/get-artifact?path=x&run_uuid=y",
        "/graphql",
        "/metrics",
    ],
)
def test_without_an_account_nothing_is_told(platform: Platform, path: str) -> None:
    assert requests.get(platform.tracking_uri + path, timeout=30).status_code == 401


def test_health_needs_no_account(platform: Platform) -> None:
    assert requests.get(f"{platform.tracking_uri}/health", timeout=30).status_code == 200


def test_another_name_of_the_server_is_refused(platform: Platform) -> None:
    url = f"{platform.tracking_uri}/api/2.0/mlflow/experiments/search"
    answer = requests.get(url, headers={"Host": "evil.example"}, auth=platform.account, timeout=30)
    assert (answer.status_code, "Invalid Host header" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "account", [{}, {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "guessed-12345"}]
)
def test_hrm_says_in_a_line_that_an_account_is_needed(platform: Platform, place: Path, account: dict[str, str]) -> None:
    done = run(place, {"MLFLOW_TRACKING_URI": platform.tracking_uri, **account}, HRM, "register", "small", "-q")
    assert done.returncode == 2
    assert done.stderr == (
        f"hrm: error: MLflow at {platform.tracking_uri} is needed to log the run: not signed in, or with a wrong "
        "password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to an account of that server\n"
    )
    assert done.stdout == ""
    assert not (place / "runs/small/registration.json").exists()


def test_a_run_is_registered_and_its_artifacts_lie_in_the_bucket(
    platform: Platform, place: Path, registered: "subprocess.CompletedProcess[str]"
) -> None:
    assert registered.returncode == 0, registered.stderr
    registration = json.loads((place / "runs/small/registration.json").read_text())
    assert registration["uri"] == "models:/small@champion"
    listed = platform.s3.client().list_objects_v2(Bucket="mlflow")["Contents"]
    names = {Path(item["Key"]).name for item in listed}
    assert {"report.html", "evaluate.json", "answers.json", "model.safetensors", "MLmodel"} <= names, names
    assert any(registration["run_id"] in item["Key"] for item in listed)
    # Nothing lies where the command ran, nor where the server runs.
    assert sorted(path.name for path in place.iterdir()) == ["data", "made", "params.yaml", "runs"]
    assert [path.name for path in platform.logs[-1].parent.iterdir() if path.name.startswith("ml")] == []


def test_the_model_answers_a_stranger_with_an_account(
    platform: Platform,
    place: Path,
    registered: "subprocess.CompletedProcess[str]",
    ann: dict[str, str],
    tmp_path: Path,
) -> None:
    assert registered.returncode == 0, registered.stderr
    dataset = open_dataset(place / "data/built/small")
    puzzles = [dataset.puzzle.format(dataset.train.questions.grid(row)) for row in range(4)]
    model = [sys.executable, "-W", "ignore", "-c", STRANGER, "models:/small@champion", *puzzles]
    done = run(tmp_path, ann, *model)
    assert done.returncode == 0, done.stderr
    assert [row["answer"] for row in json.loads(done.stdout)] == list(small_run.SOLVED)
    # Through MLflow alone: the network of a client need not reach S3.
    assert "/presigned/" not in platform.logs[-1].read_text()
    refused = run(tmp_path, {"MLFLOW_TRACKING_URI": platform.tracking_uri}, *model)
    assert refused.returncode != 0
    assert "not authenticated" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def bob(platform: Platform) -> dict[str, str]:
    """The environment of a user to whom nobody has granted anything."""
    made = {"username": "bob", "password": "bob's password"}
    url = f"{platform.tracking_uri}/api/2.0/mlflow/users/create"
    requests.post(url, json=made, auth=platform.account, timeout=30).raise_for_status()
    account = {"MLFLOW_TRACKING_USERNAME": made["username"], "MLFLOW_TRACKING_PASSWORD": made["password"]}
    return {**platform.environment, **account}


def test_who_was_granted_it_adds_a_version_and_others_may_only_read(
    platform: Platform,
    place: Path,
    registered: "subprocess.CompletedProcess[str]",
    ann: dict[str, str],
    bob: dict[str, str],
) -> None:
    assert registered.returncode == 0, registered.stderr
    done = run(place, ann, HRM, "register", "small", "-q", "-o", "register.description=Ann's.")
    assert done.returncode == 0, done.stderr
    registration = json.loads((place / "runs/small/registration.json").read_text())
    assert (registration["version"], registration["aliases"]) == (2, ["challenger"])
    seen = run(place, bob, HRM, "registry", "show", "small@challenger")
    assert "Ann's." in seen.stdout, seen.stderr


@pytest.mark.parametrize(
    ("purpose", "arguments"),
    [
        ("log the run", ["register", "small"]),
        ("promote a model", ["registry", "promote", "small", "1", "--reason", "mine"]),
        ("roll back a model", ["registry", "rollback", "small", "--reason", "mine"]),
    ],
)
def test_a_reader_decides_nothing_and_is_told_in_a_line(
    platform: Platform,
    place: Path,
    registered: "subprocess.CompletedProcess[str]",
    bob: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    purpose: str,
    arguments: list[str],
) -> None:
    assert registered.returncode == 0, registered.stderr
    for key, value in platform.environment.items():
        monkeypatch.setenv(key, value)
    client = connect()
    first, second = made_up_versions.pending("other", "10"), made_up_versions.pending("other", "10")
    for version in (first, second):
        decide(client, "other", version)
    promote(client, "other", second, "so that there is one before")
    before = State.read(client, "other")
    arguments = ["other" if word == "small" and "registry" in arguments else word for word in arguments]
    denied = run(place, bob, HRM, *arguments, "-q")
    assert (denied.returncode, denied.stdout) == (2, "")
    assert denied.stderr == (
        f"hrm: error: MLflow at {platform.tracking_uri} is needed to {purpose}: permission denied; an administrator "
        "of that server can grant it to your account\n"
    )
    assert State.read(client, "other") == before


def test_the_teams_key_opens_its_own_bucket_alone(platform: Platform) -> None:
    team, admin = platform.team.client(), platform.s3.client()
    admin.put_object(Bucket="mlflow", Key="of-mlflow", Body=b"")
    team.put_object(Bucket="hrm", Key="checkpoints/x", Body=b"ours")
    assert team.get_object(Bucket="hrm", Key="checkpoints/x")["Body"].read() == b"ours"
    attempts = {
        "read": lambda: team.get_object(Bucket="mlflow", Key="of-mlflow"),
        "write": lambda: team.put_object(Bucket="mlflow", Key="of-mlflow", Body=b"theirs"),
        "list": lambda: team.list_objects_v2(Bucket="mlflow"),
        "delete": lambda: team.delete_object(Bucket="mlflow", Key="of-mlflow"),
        "create": lambda: team.create_bucket(Bucket="another"),
    }
    for name, attempt in attempts.items():
        with pytest.raises(ClientError, match="AccessDenied"):
            print(name, attempt())
    assert requests.get(f"{platform.s3.endpoint}/hrm", timeout=30).status_code == 403
    admin.delete_object(Bucket="mlflow", Key="of-mlflow")


def test_no_secret_is_in_a_log_a_command_line_or_what_hrm_says(
    platform: Platform, registered: "subprocess.CompletedProcess[str]"
) -> None:
    said = registered.stdout + registered.stderr + "".join(log.read_text() for log in platform.logs)
    assert "experiments/search" in said, "the server logs its requests"
    # Without -ww, ps cuts each line at the width that the variable COLUMNS names.
    commands = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True).stdout
    assert "--app-name=basic-auth" in commands
    secrets = {name: value for name, value in platform.settings.items() if SECRETS.search(name)}
    assert len(secrets) == 7
    assert [name for name, value in secrets.items() if value in said + commands] == []
