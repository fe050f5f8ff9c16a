"""The network; imports nothing of ours but itself."""

from hrm.model.act import (
    Carry,
    Outputs,
    Solution,
    eval_step,
    exploration_min_steps,
    initial_carry,
    refill,
    solve,
    train_segment,
    train_step,
)
from hrm.model.hrm import HRM, Segment
from hrm.model.losses import StepLoss, step_loss
from hrm.model.puzzle_embedding import PuzzleEmbedding

__all__ = [
    "HRM",
    "Carry",
    "Outputs",
    "PuzzleEmbedding",
    "Segment",
    "Solution",
    "StepLoss",
    "eval_step",
    "exploration_min_steps",
    "initial_carry",
    "refill",
    "solve",
    "step_loss",
    "train_segment",
    "train_step",
]
