"""`dvc.yaml` names what each stage depends on: its settings, its inputs, and the code that decides what it makes."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
CATALOGUE = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
PLUMBING = ("artifacts", "config", "errors", "progress", "provenance", "settings", "tracking")
"""Rooms that decide nothing of what a stage makes; a stage's own file of `config` is asked for apart."""


@cache
def module_files() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    files = {}
    for file in (ROOT / "hrm").rglob("*.py"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        files[name.removesuffix(".__init__")] = file
    return files


@cache
def imports(module: str) -> set[str]:
    """The modules of the package that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(module_files()[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & module_files().keys()


def closure(module: str) -> set[str]:
    """All modules that a module needs, through rooms that decide what is made."""
    seen, todo = set(), [module]
    while todo:
        if (name := todo.pop()) not in seen:
            seen.add(name)
            if name == module or name.split(".")[1:2] not in ([room] for room in PLUMBING):
                todo += imports(name)
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_the_code_that_it_uses(stage: str) -> None:
    deps = [Path(dep) for dep in STAGES[stage]["deps"] if dep.startswith("hrm")]
    assert all((ROOT / dep).exists() for dep in deps)
    used = {module_files()[name].relative_to(ROOT) for name in closure(f"hrm.stages.{stage}")}
    decisive = {
        file
        for file in used
        if len(file.parts) > 2 and file.parts[1] not in PLUMBING and file != Path("hrm/stages/__init__.py")
    }
    missing = {file for file in decisive if not any(file.is_relative_to(dep) for dep in deps)}
    assert not missing
    needless = {dep for dep in deps if "config" not in dep.parts and not any(file.is_relative_to(dep) for file in used)}
    assert not needless


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "fetch"])
def test_a_stage_follows_its_own_settings_and_defaults(stage: str) -> None:
    assert STAGES[stage]["params"] == [f"experiments.${{item.experiment}}.{stage}"]
    own = Path(f"hrm/config/{stage}.py")
    assert any(own.is_relative_to(dep) for dep in STAGES[stage]["deps"])


def test_fetch_follows_the_sources_of_every_experiment() -> None:
    named = set(STAGES["fetch"]["params"])
    assert named == {"run", "sources", *(f"experiments.{name}.build.sources" for name in CATALOGUE)}


def test_each_input_is_an_output_of_an_earlier_stage() -> None:
    made = {"external"}  # by hand
    for stage in STAGES.values():
        deps = [dep for dep in stage["deps"] if not dep.startswith("hrm")]
        assert set(deps) <= made
        outs = stage["outs"] + stage.get("metrics", []) + stage.get("plots", [])
        made |= {next(iter(out)) if isinstance(out, dict) else out for out in outs}
