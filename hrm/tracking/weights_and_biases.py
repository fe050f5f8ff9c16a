"""Weights & Biases, for those who want it; an optional package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hrm.artifacts import read_json, write_json
from hrm.errors import UserError
from hrm.progress import note, warn
from hrm.tracking.record import WANDB_PLACE, Facts
from hrm.tracking.run_log import RECORDS
from hrm.tracking.server import reason

if TYPE_CHECKING:
    from wandb import Run

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
        self._folder, self._name = run, facts.name
        known = resume and (run / WANDB_PLACE).is_file()
        try:
            self._run = wandb.init(
                project=project,
                name=facts.name,
                config={**facts.provenance["settings"], "provenance": facts.provenance},
                dir=run,
                id=read_json(run / WANDB_PLACE)["run_id"] if known else None,
                resume="allow" if known else None,
                settings=wandb.Settings(silent=True, console="off", finish_timeout=FINISH_TIMEOUT),
            )
        except wandb.Error as error:
            raise UserError(
                f"train.wandb_project = {project!r}: W&B does not start: {reason(error)}; "
                "log in with `wandb login`, or set WANDB_MODE=offline"
            ) from None
        write_json(run / WANDB_PLACE, {"project": project, "run_id": self._run.id})
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
        """Add the local records of the training as an artifact, and end the run."""
        try:
            _log_files(self._run, f"{self._name}-training", [self._folder / name for name in RECORDS])
            self._run.finish(exit_code=0 if status == "FINISHED" else 1)
        except Exception as error:  # as above
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._failing:
            warn(f"W&B: {reason(error)}; training goes on, and what is missing there can be sent with `wandb sync`")
        self._failing = True


def log_scores(run: Path, name: str, scores: Mapping[str, float], files: Sequence[Path]) -> None:
    """Add what came after the training to its W&B run, if it has one: W&B is a copy, so whatever fails is a warning.

    Args:
        run: the run's folder, whose `wandb_run.json` names the run in W&B.
        name: of the experiment.
        scores: become the run's summary.
        files: become an artifact of it, those that are there.
    """
    if not (run / WANDB_PLACE).is_file():
        return
    try:
        import wandb

        place = read_json(run / WANDB_PLACE)
        settings = wandb.Settings(silent=True, console="off", finish_timeout=FINISH_TIMEOUT)
        again = wandb.init(project=place["project"], id=place["run_id"], resume="allow", dir=run, settings=settings)
        again.summary.update(dict(scores))
        _log_files(again, f"{name}-evaluation", files)
        again.finish()
    except Exception as error:  # the model is registered all the same
        warn(f"W&B: {reason(error)}; the scores are in MLflow alone")


def _log_files(run: Run, name: str, files: Iterable[Path]) -> None:
    """Files as an artifact of a W&B run, whose type is the last word of its name."""
    import wandb

    artifact = wandb.Artifact(re.sub(r"[^\w.-]", "_", name), type=name.rpartition("-")[2])
    for file in files:
        if file.is_file():
            artifact.add_file(str(file))
    run.log_artifact(artifact)
