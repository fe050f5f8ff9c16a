"""A kind of puzzle that nothing else knows, in one file: turn every bit of a 2 x 2 grid over.

`test_new_kind.py` puts this file among the others. Raw files are `train.txt` and `test.txt`, a question a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.base import Bytes, Examples, Grids, PuzzleKind, Rng, Table
from hrm.puzzles.drawing import svg_grid


class Opposite(PuzzleKind):
    """The answer has a 1 where the question has a 0; a symmetry is one byte, whether to turn all bits over."""

    kind: Literal["opposite"] = "opposite"

    vocab_size: ClassVar[int] = 3
    canvas: ClassVar[tuple[int, int]] = (2, 2)
    ignored_label: ClassVar[int | None] = None
    has_puzzle_ids: ClassVar[bool] = False
    limits: ClassVar[str] = "Knows bits only."
    arc_prize: ClassVar[bool] = True
    title: ClassVar[str] = "Opposites & co"

    def read(self, sources: Sequence[Path]) -> Table:
        splits = {}
        count = 0
        for split in ("train", "test"):
            lines = [line for source in sources for line in (source / f"{split}.txt").read_text().split()]
            questions = Grids.of([self.parse(line) for line in lines], self.canvas)
            answers = Grids(1 - questions.cells, questions.shapes)
            groups = np.arange(count, count + len(lines))
            splits[split] = Examples(questions, answers, groups, np.zeros(len(lines), np.int64))
            count += len(lines)
        return Table([f"bits-{row}" for row in range(count)], splits["train"], splits["test"], {})

    def parse(self, text: str) -> Bytes:
        return np.array([int(bit) for bit in text], np.uint8).reshape(self.canvas)

    def format(self, grid: Bytes) -> str:
        return "".join(map(str, grid.ravel().tolist()))

    identity: ClassVar[Bytes] = np.zeros(1, np.uint8)

    def sample(self, count: int, rng: Rng) -> Bytes:
        return rng.integers(2, size=(count, 1), dtype=np.uint8)

    def transform(self, grids: Grids, symmetries_BK: Bytes) -> Grids:
        return Grids(grids.cells ^ symmetries_BK[:, :, None], grids.shapes)

    def inverse(self, symmetries_BK: Bytes) -> Bytes:
        return symmetries_BK

    def variant_name(self, group: str, symmetry: Bytes) -> str:
        return group if not symmetry.any() else f"{group}_turned"

    def encode(self, grids: Grids, offsets_B2: NDArray[np.integer[Any]] | None = None) -> Bytes:
        return grids.cells.reshape(len(grids), -1) + np.uint8(1)

    def decode(self, tokens_BL: Bytes) -> Grids:
        cells = np.clip(tokens_BL, 1, 2).astype(np.uint8).reshape(-1, *self.canvas) - np.uint8(1)
        return Grids(cells, np.full((len(cells), 2), 2, np.uint8))

    def is_valid(self, question: Bytes, answer: Bytes) -> bool | None:
        return bool((question + answer == 1).all())

    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        return svg_grid([["#000000" if bit else "#ffffff" for bit in row] for row in grid.tolist()], label="bits")
