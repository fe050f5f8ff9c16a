"""How well the model does on test puzzles while it trains."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hrm.data.batch import IGNORED
from hrm.data.copies import Copies
from hrm.model.act import solve
from hrm.model.hrm import HRM
from hrm.training.distributed import Processes


@torch.no_grad()
def validate(
    model: HRM, copies: Copies, *, batch_size: int, processes: Processes, between: Callable[[], None]
) -> dict[str, float]:
    """Scores of the evaluation protocol over all of `copies`, shared among the processes.

    Args:
        model: the network.
        copies: the test puzzles.
        batch_size: copies that one process predicts at a time.
        processes: every process must call this.
        between: called before each batch, in every process equally often.

    Returns:
        `eval/exact_accuracy`, `eval/token_accuracy` and `eval/q_halt_accuracy`, from 0 to 1.
    """
    # Count, exact rows, token accuracy, right verdicts of the Q head.
    sums = torch.zeros(4, dtype=torch.float64, device=processes.device)
    offset, stride = processes.rank * batch_size, processes.count * batch_size
    for start in range(offset, offset + len(copies), stride):
        between()
        if start >= len(copies):
            break
        batch = copies.batch(slice(start, start + batch_size))
        inputs_BL, labels_BL = (torch.from_numpy(x).to(processes.device) for x in (batch.inputs, batch.labels))
        solution = solve(model, inputs_BL, torch.from_numpy(batch.puzzle_ids).to(processes.device))
        labelled_BL = labels_BL != IGNORED
        right_BL = labelled_BL & (solution.tokens_BL == labels_BL)
        exact_B = (right_BL == labelled_BL).all(-1)
        verdict_B = (solution.q_halt_B >= 0) == exact_B
        tokens = (right_BL.sum(-1) / labelled_BL.sum(-1).clamp(min=1)).sum()
        sums += torch.stack([torch.tensor(len(batch)).to(tokens), exact_B.sum(), tokens, verdict_B.sum()])
    count, exact, tokens, verdicts = processes.sum(sums).tolist()
    return {
        "eval/exact_accuracy": exact / count,
        "eval/token_accuracy": tokens / count,
        "eval/q_halt_accuracy": verdicts / count,
    }
