"""Logging a training run after it has ended, from what it left in its folder."""

from __future__ import annotations

from pathlib import Path

from hrm.data.dataset import open_dataset
from hrm.errors import UserError
from hrm.tracking.points import Spool, points_of
from hrm.tracking.record import Facts
from hrm.tracking.run_log import RunLog
from hrm.tracking.server import connect, impatient, required


def log_finished(run: Path, name: str, dataset: Path) -> str:
    """Log a finished training run to MLflow, or whatever is missing of it there.

    Args:
        run: the run's folder.
        name: of the experiment.
        dataset: the dataset it was trained on.

    Returns:
        The id of the run in MLflow, which `run/mlflow_run.json` names as well.

    Raises:
        UserError: when there is no finished training in the folder, it was trained on another dataset, or MLflow cannot
            be reached.
    """
    require_finished(run, name)
    facts = Facts.read(name, run, open_dataset(dataset))
    points = points_of(run)
    with required("log the run"):
        with impatient():
            connect().search_experiments(max_results=1)
        log = RunLog.open(run, facts)
        log.log_points(points)
        log.finish(run, "FINISHED")
    Spool(run).clear()
    return log.run_id


def require_finished(run: Path, name: str) -> None:
    """Refuse a run whose training has not come to its end.

    Raises:
        UserError: naming the file that only a finished training leaves.
    """
    if not (run / "train.json").is_file():
        raise UserError(f"{run}/train.json: no such file; finish the training with `hrm train {name}`")
