"""The image for CPUs, as `make image` builds it, on a real engine."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from docker_engine import Engine

import hrm
from hrm.provenance import code_digest

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
LARGEST = 2.4e9
"""Bytes that the image may have: 2 GB of Python packages, a third of them PyTorch, and Debian with Python and Git."""
VERSIONS = """
import json, sysconfig
from importlib import metadata
found = metadata.distributions(path=[sysconfig.get_path("purelib")])
print(json.dumps({each.name: each.version for each in found}))
"""


@pytest.fixture(scope="module")
def described(engine: Engine, image: str) -> dict[str, Any]:
    return json.loads(engine.docker("image", "inspect", image))[0]


def run(engine: Engine, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """What a command prints in a fresh container without a network."""
    return engine.docker("run", "--rm", "--network=none", *options, image, *command)


def test_it_says_what_it_is(engine: Engine, image: str, image_tree: Path, described: dict[str, Any]) -> None:
    git = ["git", "-C", str(image_tree), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    assert described["Config"]["Labels"] == {
        "org.opencontainers.image.title": "hrm-mlops",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": hrm.__version__,
        "org.opencontainers.image.revision": commit,
    }
    code = "from hrm.provenance import *; print(git_commit(), code_digest())"
    assert run(engine, image, "python3", "-c", code) == f"{commit} {code_digest()}"


def test_it_greets_with_the_help_and_has_what_steps_import(engine: Engine, image: str) -> None:
    assert run(engine, image).startswith("usage: hrm ")
    assert run(engine, image, "hrm", "--version") == f"hrm {hrm.__version__}"
    code = "import kfp.dsl.executor_main, kfp.kubernetes, kubeflow.trainer, wandb, torch; print(torch.version.cuda)"
    assert run(engine, image, "python3", "-W", "ignore", "-c", code).splitlines()[-1] == "None"


def test_its_packages_are_those_of_the_lock_without_the_tools_of_development(engine: Engine, image: str) -> None:
    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    lock = [line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line]
    locked = {plain(name): version for name, version in lock}
    found = {
        plain(name): version for name, version in json.loads(run(engine, image, "python3", "-c", VERSIONS)).items()
    }
    assert found.pop("hrm-mlops") == hrm.__version__
    assert found["torch"] == locked["torch"] + "+cpu"
    assert {name: version.removesuffix("+cpu") for name, version in found.items()}.items() <= locked.items()
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tools = {plain(re.split(r"[=<>]", each)[0]) for each in optional["dev"]} - {"pyyaml"}
    assert not tools & found.keys()


def test_neither_compilers_nor_caches_nor_sources_are_left(engine: Engine, image: str) -> None:
    names = "gcc g++ cc make ruff mypy pytest weed"
    assert run(engine, image, "sh", "-c", f"for name in {names}; do command -v $name; done; true") == ""
    places = "/build /wheels /home/hrm/.cache /var/lib/apt/lists/* /var/cache/apt/*"
    assert run(engine, image, "sh", "-c", f"ls -d {places} 2> /dev/null; true") == ""


def test_it_knows_no_secret(engine: Engine, image: str, described: dict[str, Any]) -> None:
    environment = dict(each.split("=", 1) for each in described["Config"]["Env"])
    assert not [name for name in environment if re.search(r"KEY|SECRET|TOKEN|PASSW|CREDENTIAL|INDEX", name)]
    assert not re.search(r"INDEX_URL|\w+:\w+@", engine.docker("history", "--no-trunc", image))
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["PYTHONUNBUFFERED"] == "1"


def test_its_size_is_bounded(described: dict[str, Any]) -> None:
    print(f"{described['Size'] / 1e9:.2f} GB")
    assert described["Size"] < LARGEST


@pytest.mark.parametrize("user", [(), ("--user=12345:12345",)], ids=["its own user", "a user that a cluster picks"])
def test_a_step_runs_without_root(engine: Engine, image: str, user: tuple[str, ...]) -> None:
    assert run(engine, image, "id", "-u", options=user) == ("12345" if user else "1000")
    script = (
        "touch ~/writable; git --version; hrm fetch -q sudoku-mini; hrm build -q sudoku-mini; cat data/built/*.json"
    )
    assert '"stage": "build"' in run(engine, image, "sh", "-ec", script, options=user)
    assert run(engine, image, "cat", "params.yaml") == (ROOT / "params.yaml").read_text().strip()
