"""A project with small experiments, and a pipeline that has run in it."""

from pathlib import Path

import pytest
import yaml
from command_line import command, kfp  # noqa: F401
from local_pipeline import pipelines
from small_clone import small_params


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder with the settings of small experiments."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project in which the pipeline has carried sudoku-mini from source to registry, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    done = pipelines(folder, "run", "--local", "--experiment", "sudoku-mini", "-o", "train.processes=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""
    return folder, done.stderr
