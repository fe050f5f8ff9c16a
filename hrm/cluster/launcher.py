"""The launcher: starts a training on several nodes, or takes up one that it started before, and hands back its run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from hrm.artifacts import written_beside
from hrm.cluster.following import condition_of, follow
from hrm.cluster.job import Job, Work, job_name, work_of
from hrm.cluster.stored import is_stored, retrieve, store
from hrm.cluster.trainjobs import TrainJobs
from hrm.config import TrainSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.progress import note
from hrm.training.card import card_of
from hrm.training.distributed import check_shares
from hrm.training.workspace import Workspace


def train_on_nodes(settings: TrainSettings, dataset: Path, run: Path, name: str, job: Job) -> None:
    """Train on several nodes of a cluster, or go on with such a training that was interrupted.

    Leaves in the run's folder what `hrm.stages.train.train` leaves there. Killed and started again, it follows the job
    that it left behind; after SIGTERM the job is deleted, and the next one goes on from the mirror.

    Args:
        settings: the experiment's `train` block; everything goes through the bucket of its `checkpoints.mirror`.
        dataset: the dataset folder.
        run: the run's folder, of this run alone.
        name: of the experiment.
        job: what is asked of the cluster.

    Raises:
        UserError: when the dataset, the bucket or the cluster cannot be used, or the batch cannot be shared.
        RuntimeError: when the job failed, with the last lines of its nodes.
        SystemExit: with status 143 after SIGTERM, when the job is deleted.
    """
    data = open_dataset(dataset)
    if settings.checkpoints.mirror is None:
        raise UserError(
            "train.checkpoints.mirror: training on several nodes needs a bucket between them; set it to s3://bucket/prefix"
        )
    check_shares(settings.batch_size, job.nodes * max(1, job.gpus_per_node))
    if _is_there(run, settings, data):
        note(f"{run}: this training is finished; remove the folder to train again")
        return
    jobs, trainjob = TrainJobs(job.namespace), job_name(name, settings, data, job.run_id)
    work = work_of(name, settings, data, trainjob)
    with _deleted_when_stopped(jobs, trainjob):
        if not is_stored(work.run):
            if not is_stored(work.dataset):
                store(dataset, work.dataset)
            _take_up(jobs, trainjob, job, work)
            follow(jobs, trainjob)
        with written_beside(run) as beside:
            retrieve(work.run, beside)
            if not Workspace(beside).is_finished(card_of(settings, data)):
                raise UserError(f"{work.run}: not the finished run of this training; remove it and start again")
    note(f"{run}: trained by {trainjob} on {job.nodes} nodes")


def _is_there(run: Path, settings: TrainSettings, data: Dataset) -> bool:
    """Whether the run's folder holds this run; False where it holds nothing.

    Raises:
        UserError: when it holds anything else, which would be lost.
    """
    if Workspace(run).is_finished(card_of(settings, data)):
        return True
    if run.exists() and any(not path.name.startswith(".") for path in run.iterdir()):
        raise UserError(f"{run}: something else is in this folder; name an empty one")
    return False


def _take_up(jobs: TrainJobs, name: str, job: Job, work: Work) -> None:
    """See to it that the job is there: the one of this name, unless it has failed or is being deleted."""
    found = jobs.find(name)
    if found is not None and (condition_of(found, "Failed") or "deletionTimestamp" in found["metadata"]):
        note(f"{name}: failed or deleted before; starting it anew, from its mirror")
        jobs.delete(name)
        jobs.wait_until_gone(name)
        found = None
    if found is None:
        jobs.create(name, job, work)
        note(f"{name}: asked for, {job.nodes} nodes of {job.gpus_per_node} GPUs in {jobs.namespace}")
    else:
        note(f"{name}: is there already; following it")


@contextmanager
def _deleted_when_stopped(jobs: TrainJobs, name: str) -> Iterator[None]:
    """Inside, SIGTERM and Ctrl-C delete the job before they end the launcher; whatever else ends it does not."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note(f"{name}: deleting it, as its launcher is stopped")
        jobs.delete(name)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)
