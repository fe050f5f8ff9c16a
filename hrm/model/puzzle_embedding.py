"""One learned vector for each puzzle id: a table too large, and used too sparsely, for a dense optimizer.

Shapes: B batch rows, E width of a puzzle vector.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PuzzleEmbedding(nn.Module):
    """A table (num_ids, E) of float32, zeros at first.

    It is a saved buffer, not a parameter: no gradient of the table's size ever exists. In training the rows of the
    batch become a leaf of the graph, and the optimizer takes their gradients (B, E).
    """

    table: Tensor

    def __init__(self, *, num_ids: int, width: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(num_ids, width))

    def forward(self, ids_B: Tensor) -> Tensor:
        """(B, E) copies of the rows of the given ids; gradients do not reach the table."""
        return F.embedding(ids_B, self.table)
