"""The commit that a record names, in real repositories."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hrm"
CODE = "import hrm.provenance; print(hrm.__file__, hrm.provenance.git_commit())"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def commit_of(folder: Path, **environment: str) -> str:
    """What the package in a folder says about itself."""
    # The current folder comes first on the path of `-c`; no bytecode lies beside the files.
    command = [sys.executable, "-B", "-c", CODE]
    given = {name: value for name, value in os.environ.items() if name != "HRM_COMMIT"} | environment
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=True)
    file, commit = done.stdout.split()
    assert Path(file).parent == folder / "hrm"
    return commit


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, in which `.venv` is ignored."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".venv\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "start")
    return tmp_path


def put_package(folder: Path) -> None:
    shutil.copytree(PACKAGE, folder / "hrm", ignore=shutil.ignore_patterns("__pycache__"))


def test_the_commit_is_that_of_the_repository_with_the_package(repository: Path) -> None:
    put_package(repository)
    assert commit_of(repository) == "None", "not tracked yet"
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "the package")
    head = git(repository, "rev-parse", "HEAD")
    assert commit_of(repository) == head
    (repository / "unrelated.txt").write_text("x")
    assert commit_of(repository) == head
    (repository / "hrm/errors.py").write_text((repository / "hrm/errors.py").read_text() + "# changed\n")
    assert commit_of(repository) == f"{head}-dirty"


def test_the_repository_around_an_ignored_environment_is_not_ours(repository: Path) -> None:
    put_package(repository / ".venv/site-packages")
    assert commit_of(repository / ".venv/site-packages") == "None"


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    put_package(tmp_path)
    assert commit_of(tmp_path) == "None"
    # What an image says that was built without one.
    assert commit_of(tmp_path, HRM_COMMIT="") == "None"


def test_whoever_installed_the_package_tells_its_commit_unless_a_repository_knows_better(repository: Path) -> None:
    put_package(repository)
    assert commit_of(repository, HRM_COMMIT="abc-dirty") == "abc-dirty"
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "the package")
    assert commit_of(repository, HRM_COMMIT="abc-dirty") == git(repository, "rev-parse", "HEAD")
