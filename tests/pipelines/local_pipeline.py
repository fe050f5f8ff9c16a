"""The command `python -m pipelines` as a person types it, and what a run of it leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from small_clone import ROOT


def pipelines(folder: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """The command, in a folder that has settings and nothing else of the project."""
    ours = {"PYTHONPATH": str(ROOT), **more}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")} | ours
    command = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def artifacts(folder: Path, step: str) -> dict[str, Any]:
    """What a step of the newest run handed over: each artifact's type, place and metadata, by name."""
    newest = max((folder / "runs/pipelines").iterdir(), key=lambda path: path.stat().st_mtime)
    record = json.loads((newest / step / "executor_output.json").read_text())
    return {name: found["artifacts"][0] for name, found in record.get("artifacts", {}).items()}
