"""Weights & Biases, for those who want it; an optional package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hrm.artifacts import read_json, write_json
from hrm.errors import UserError
from hrm.progress import note, warn
from hrm.tracking.record import Facts
from hrm.tracking.server import reason

PLACE = "wandb_run.json"
"""The file of a run's folder that names its W&B run."""
FINISH_TIMEOUT = 10.0
"""Seconds that `close` waits for the last uploads; what is left then, `wandb sync` sends."""


class WandbTracker:
    """Logs to W&B; `WANDB_MODE=offline` keeps the run in its folder, for `wandb sync`."""

    def __init__(self, project: str, run: Path, facts: Facts, *, resume: bool) -> None:
        """Start the W&B run of a folder, or go on in it.

        Raises:
            UserError: when the package is not installed, or W&B refuses, for instance without an account.
        """
        try:
            import wandb
        except ImportError:
            raise UserError(
                f"train.wandb_project = {project!r} needs the package wandb; "
                "pip install 'hrm-mlops[wandb]', or leave the setting out"
            ) from None
        run.mkdir(parents=True, exist_ok=True)
        known = resume and (run / PLACE).is_file()
        try:
            self._run = wandb.init(
                project=project,
                name=facts.name,
                config={**facts.provenance["settings"], "provenance": facts.provenance},
                dir=run,
                id=read_json(run / PLACE)["run_id"] if known else None,
                resume="allow" if known else None,
                settings=wandb.Settings(silent=True, console="off", finish_timeout=FINISH_TIMEOUT),
            )
        except wandb.Error as error:
            raise UserError(
                f"train.wandb_project = {project!r}: W&B does not start: {reason(error)}; "
                "log in with `wandb login`, or set WANDB_MODE=offline"
            ) from None
        write_json(run / PLACE, {"project": project, "run_id": self._run.id})
        self._failing = False
        if not self._run.offline:
            note(f"W&B: {self._run.url}")

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each of some curves."""
        try:
            self._run.log(dict(values), step=step)
        except Exception as error:  # whatever happens to the log, the training goes on
            self._warn(error)

    def close(self, status: str) -> None:
        """End the run."""
        try:
            self._run.finish(exit_code=0 if status == "FINISHED" else 1)
        except Exception as error:  # as above
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._failing:
            warn(f"W&B: {reason(error)}; training goes on, and what is missing there can be sent with `wandb sync`")
        self._failing = True
