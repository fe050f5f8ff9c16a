"""A clone of the project with smaller experiments, for tests that need the whole chain to have run."""

import copy
import os
import shutil
import signal
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
MODEL = {"hidden": 16, "heads": 2, "H_layers": 1, "L_layers": 1}
TRAIN = {
    "model": MODEL,
    "halting": {"max_steps": 2},
    "compile": False,
    "batch_size": 16,
    "epochs": 1,
    "eval_every": 1,
    "eval_puzzles": 8,
}
KINDS = ("sudoku", "maze", "arc")


def small_params() -> dict[str, Any]:
    """The demo's experiments made smaller: the same sources and kinds, a few seconds of work."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    experiments, sources = params["experiments"], params["sources"]
    for kind in KINDS:
        name = f"{kind}-mini"
        experiments[name]["train"] = copy.deepcopy(TRAIN)  # YAML writes a shared block as an alias
        experiments[name]["evaluate"] = {"copies": 2, "max_puzzles": 6}
        for source in experiments[name]["build"]["sources"]:
            if "generator" in sources[source]:
                sources[source]["generator"] |= {"train": 24, "test": 12}
    experiments["arc-mini"]["build"] |= {"subsample": 20, "variants": 2}
    return params


def make_clone(folder: Path) -> None:
    """A clone with the smaller experiments, in which `dvc repro` has run once."""
    make_project(folder, small_params())
    run(folder, "dvc", "repro")


def make_project(folder: Path, params: dict[str, Any]) -> None:
    """The project with other settings, committed as a Git repository of its own; nothing has run."""
    for name in ("hrm", ".dvc", ".dvcignore", ".gitignore", "dvc.yaml", "external/README.md"):
        source = ROOT / name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(folder, "git", "init", "-q")
    commit(folder, "start")


def commit(folder: Path, message: str) -> None:
    """Commit all that Git does not ignore."""
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", message)


def run(folder: Path, *command: str | Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start(folder: Path, *command: str | Path) -> subprocess.Popen[str]:
    """A command that goes on, in a process group of its own, and can be interrupted."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background job ignores the signal, and so would all that is started from it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def environment(folder: Path) -> dict[str, str]:
    """The clone's own code comes first, as in a clone with its own environment."""
    ours = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | ours
