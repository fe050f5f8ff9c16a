"""Every component keeps the conventions: a folder with file, metadata and README; a short body with its own imports."""

import ast
import inspect
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from components import IMAGE
from components.__main__ import FOLDER, NAMES, component, readme
from hrm.config import load_experiment

ROOT = FOLDER.parent
LONGEST_BODY = 20
"""Lines, imports left out."""


def body(name: str) -> list[ast.stmt]:
    tree = ast.parse((FOLDER / name / "component.py").read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert function.name == name
    return function.body[1:]


def test_the_chain_has_its_components() -> None:
    assert {"resolve", "fetch", "build", "train", "evaluate", "vote", "register"} <= set(NAMES)
    assert {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_complete_and_its_readme_current(name: str) -> None:
    assert {path.name for path in (FOLDER / name).iterdir() if path.is_file()} == {
        "component.py",
        "metadata.yaml",
        "README.md",
    }
    assert (FOLDER / name / "README.md").read_text() == readme(name), "run `python -m components`"


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_is_of_the_convention(name: str) -> None:
    metadata = yaml.safe_load((FOLDER / name / "metadata.yaml").read_text())
    assert metadata.keys() == {"name", "stability", "dependencies", "tags", "lastVerified"}
    assert metadata["name"] == name
    assert metadata["stability"] in {"experimental", "alpha", "beta", "stable"}
    assert metadata["dependencies"]["kubeflow"][0]["name"] == "Pipelines"
    assert datetime.now(UTC) - metadata["lastVerified"].replace(tzinfo=UTC) < timedelta(days=365), "verify it again"


def test_resolve_hands_on_each_block_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    function = component("resolve").python_func
    given = function("sudoku-mini", [], {}, gpus="8", nodes=1, register_as="", minimum_scores={}, mirror="")
    blocks = dict(zip(function.__annotations__["return"]._fields, given, strict=True))
    assert blocks.pop("evaluation_gpus") == "1"
    settings = load_experiment("sudoku-mini", ROOT / "params.yaml", ["train.processes=8"])
    written = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert blocks == {name: written[name] for name in ("sources", "build", "train", "evaluate", "vote", "register")}


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_nothing_that_a_container_lacks(name: str) -> None:
    """Only the body is sent to the container; what is imported around it must not be needed there."""
    tree = ast.parse((FOLDER / name / "component.py").read_text())
    tops = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    tops |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert tops <= {"typing", "kfp", "components"}


@pytest.mark.parametrize("name", NAMES)
def test_a_body_is_short_and_computes_nothing(name: str) -> None:
    work = [statement for statement in body(name) if not isinstance(statement, ast.Import | ast.ImportFrom)]
    assert work[-1].end_lineno is not None
    assert work[-1].end_lineno - work[0].lineno < LONGEST_BODY
    imported = {node.module for node in body(name) if isinstance(node, ast.ImportFrom) and node.module}
    assert any(module.startswith("hrm.") for module in imported)


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_explained_and_installed_already(name: str) -> None:
    found = component(name)
    container = found.component_spec.implementation.container
    assert container.image == IMAGE
    assert "pip install" not in " ".join(container.command)
    rows = [line.split(" | ") for line in readme(name).splitlines() if line.startswith("| ")]
    explained = [row for row in rows if len(row) == 4 and row[0] not in ("| name", "| ---")]
    assert len(explained) == len(inspect.signature(found.python_func).parameters) - sum(
        kind.type.startswith("system.") for kind in (found.component_spec.outputs or {}).values()
    )
    assert all(row[3].strip(" |") for row in explained)


def test_the_check_finds_a_readme_that_is_not_current(tmp_path: Path) -> None:
    file = FOLDER / "fetch" / "README.md"
    command = [sys.executable, "-m", "components", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    copy = tmp_path / "components"
    subprocess.run(["cp", "-r", str(FOLDER), str(copy)], check=True)
    (copy / "fetch/README.md").write_text(file.read_text() + "more\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("hrm: error: ")
    assert "fetch/README.md: not what component.py says" in done.stderr
