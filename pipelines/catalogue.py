"""Every pipeline of the project, by the name it has on the command line."""

from __future__ import annotations

from typing import Any

from pipelines.evaluate import evaluate_pipeline
from pipelines.sweep import sweep_pipeline
from pipelines.train import train_pipeline

PIPELINES: dict[str, Any] = {
    "train": train_pipeline,
    "sweep": sweep_pipeline,
    "evaluate": evaluate_pipeline,
}
