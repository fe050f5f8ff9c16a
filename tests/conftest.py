"""Quiet libraries and one thread: the tests share two cores, and no library may phone home."""

import os
from pathlib import Path

import pytest
import small_run
from docker_engine import base_image, engine, image, image_tree  # noqa: F401
from mlflow_server import shared_mlflow  # noqa: F401
from platform_server import platform  # noqa: F401
from s3_server import s3  # noqa: F401
from small_clone import make_clone

from hrm.data.dataset import Dataset
from hrm.tracking.server import quiet

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "disabled")
quiet()


@pytest.fixture(scope="session")
def sudoku(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A small dataset without puzzle ids."""
    return small_run.sudoku_dataset(tmp_path_factory.mktemp("sudoku"))


@pytest.fixture(scope="session")
def arc(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A small dataset with a puzzle id for each variant."""
    return small_run.arc_dataset(tmp_path_factory.mktemp("arc"))


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with smaller experiments, in which `dvc repro` has run once; tests leave its settings as they were."""
    folder = tmp_path_factory.mktemp("clone")
    make_clone(folder)
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a longer test of killed runs be asked for, and the golden numbers on another device."""
    parser.addoption("--kills", type=int, default=5, help="how often a training is killed at a random moment")
    parser.addoption("--device", default="cpu", help="where the golden numbers are computed; cuda for a GPU")
