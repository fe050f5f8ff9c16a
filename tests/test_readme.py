"""The README is read, not retyped: its commands run, its names and paths exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_clone import run

from hrm.cli import parser
from hrm.config import load_experiment, read_params

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CATALOGUE = read_params(ROOT / "params.yaml")["experiments"]


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(first: str) -> list[list[str]]:
    """The lines of shell blocks that begin with a command, as words."""
    lines = [line.split("#")[0].replace("'", "").split() for block in blocks("sh") for line in block.splitlines()]
    return [words for words in lines if words and words[0] == first]


def test_the_make_targets_exist() -> None:
    for words in commands("make"):
        subprocess.run([words[0], "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def test_every_hrm_command_is_one() -> None:
    """Also those under torchrun, which need 8 GPUs to run."""
    torchrun = [words[words.index("hrm") :] for words in commands("torchrun")]
    assert torchrun
    for words in commands("hrm") + torchrun:
        options = parser().parse_args(words[1:])
        assert options.experiment in CATALOGUE


def test_the_stages_run_as_written(clone: Path) -> None:
    for words in commands("hrm"):
        run(clone, *words)


def test_the_python_example_solves_a_puzzle(clone: Path) -> None:
    (example,) = blocks("python")
    assert "answer" in run(clone, sys.executable, "-c", example)


def test_the_dvc_overrides_are_settings() -> None:
    """Those of keys that the file has, without a plus; those that it adds, with one; and all are settings of ours."""
    params = read_params(ROOT / "params.yaml")
    for words in commands("dvc"):
        assert words[:4] == ["dvc", "exp", "run", "-S"]
        key, value = words[4].split("=")
        if key == "run":
            assert value.strip("[]") in CATALOGUE
            continue
        *parents, last = key.removeprefix("+").split(".")
        block = params
        for parent in parents:
            block = block[parent]
        assert (last in block) == (not key.startswith("+"))
        load_experiment(parents[1], ROOT / "params.yaml", [f"{'.'.join([*parents[2:], last])}={value}"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_and_experiment_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    made = ("data/", "runs/", "external/", ".venv")
    for path in re.findall(r"`((?:hrm|tests|docs|benchmarks)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`([\w./-]+\.(?:py|yaml|toml|md))`", text):
        assert path.startswith(made) or any((root / path).exists() for root in (ROOT, ROOT / "hrm")), path
    for name in re.findall(r"`((?:arc|sudoku|maze)-[\w-]+)`", text):
        assert name in CATALOGUE or name in read_params(ROOT / "params.yaml")["sources"], name
