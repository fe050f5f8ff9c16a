"""`params.yaml` as frozen, validated models: the only place where defaults live.

A file has three parts: `run` (the experiments that `dvc repro` carries out), `sources` (where raw puzzles come from)
and `experiments` (the catalogue: for each, a block per stage). The settings of each stage have a file of their own,
on which the stage depends and no other does.
"""

from hrm.config.adapt import AdaptSettings
from hrm.config.build import BuildSettings
from hrm.config.evaluate import EvaluateSettings
from hrm.config.experiment import Experiment, find_experiment, load_experiment, sources_of
from hrm.config.params import checked, read_params, run_list
from hrm.config.register import PublishedScore, RegisterSettings
from hrm.config.search import SearchSettings
from hrm.config.train import (
    Attention,
    CheckpointSettings,
    HaltingSettings,
    ModelSettings,
    OptimizerSettings,
    TrainSettings,
)
from hrm.config.vote import VoteSettings

__all__ = [
    "AdaptSettings",
    "Attention",
    "BuildSettings",
    "CheckpointSettings",
    "EvaluateSettings",
    "Experiment",
    "HaltingSettings",
    "ModelSettings",
    "OptimizerSettings",
    "PublishedScore",
    "RegisterSettings",
    "SearchSettings",
    "TrainSettings",
    "VoteSettings",
    "checked",
    "find_experiment",
    "load_experiment",
    "read_params",
    "run_list",
    "sources_of",
]
