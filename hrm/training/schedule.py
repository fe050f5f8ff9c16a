"""How long training lasts, and the learning rate at each step."""

from __future__ import annotations

import math


def total_steps(*, epochs: int, groups: int, mean_examples: float, global_batch: int) -> int:
    """Optimizer steps of a run: every epoch visits each group once, and takes the examples of one of its puzzles.

    Args:
        epochs: visits of each group.
        groups: groups of the training split.
        mean_examples: mean number of examples of a puzzle.
        global_batch: examples a step, over all processes.
    """
    return int(epochs * groups * mean_examples / global_batch)


def lr_factor(step: int, *, warmup_steps: int, total_steps: int, min_ratio: float) -> float:
    """What the base learning rates are multiplied by at a step; both optimizers share it.

    Linear from 0 to 1 over the warm-up, then a half cosine from 1 down to `min_ratio` at `total_steps`, and constant
    beyond (a `min_ratio` of 1, the published default, keeps it at 1).

    Args:
        step: number of the optimizer step, the first is 1.
        warmup_steps: length of the warm-up; 0 for none.
        total_steps: where the cosine ends.
        min_ratio: where it ends at.
    """
    if step < warmup_steps:
        return step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * progress)) / 2
