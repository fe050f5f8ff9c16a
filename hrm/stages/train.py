"""Stage `train`: a dataset to checkpoints and curves."""

from __future__ import annotations

from pathlib import Path

from hrm.config import TrainSettings
from hrm.data.dataset import open_dataset
from hrm.training.distributed import check_shares
from hrm.training.launch import check_devices, launch, local_processes, under_torchrun
from hrm.training.loop import run_training
from hrm.training.state import check_attention


def train(settings: TrainSettings, dataset: Path, run: Path, name: str) -> None:
    """Train, or go on with a training that was interrupted; in several processes where the settings say so.

    Writes `run/checkpoints/`, `run/curves.csv`, `run/train.json` and `run/train.provenance.json` when it is done, and
    keeps `run/training/` until then. Under `torchrun` this process is one of its processes; otherwise the processes are
    started here.

    Args:
        settings: the experiment's `train` block.
        dataset: the dataset folder.
        run: the run's folder.
        name: of the experiment.

    Raises:
        UserError: when the dataset or a checkpoint cannot be used, or the batch cannot be shared.
        SystemExit: when one of the started processes failed.
    """
    open_dataset(dataset)  # a mistake is told once, before any process is started
    processes = 1 if under_torchrun() else local_processes(settings.processes)
    check_shares(settings.batch_size, processes)
    check_devices(processes)
    check_attention(settings)
    if processes == 1:
        run_training(settings, dataset, run, name)
    else:
        launch(run_training, [settings, dataset, run, name], processes)
