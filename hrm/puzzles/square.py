"""Kinds whose puzzles are squares of characters, turned and mirrored as a whole: their text, tokens and symmetries.

Such a kind names its characters and says what is wrong with an answer. Cell values are 1, 2, ... in the order of the
characters, and tokens are cell values.

Letters for shapes: N puzzles, H = W = size, L = H * W tokens, K = 1 byte of a symmetry (`dihedral`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hrm.puzzles import dihedral
from hrm.puzzles.base import Bytes, Grids, PuzzleKind, Rng, Table
from hrm.puzzles.rows import read_rows, square_grids
from hrm.puzzles.steps import Step

Size = Annotated[int, Field(ge=2, le=128)]


class SquareKind(PuzzleKind):
    """A kind whose questions and answers are squares of characters."""

    size: Size
    """Height and width."""

    characters: ClassVar[str]
    """What cells are written with; the first is value 1."""
    ignored_label: ClassVar[int | None] = 0
    has_puzzle_ids: ClassVar[bool] = False
    steps: ClassVar[tuple[Step, ...]] = (Step("turn", at=0),)

    @abstractmethod
    def fault(self, question: Bytes, answer: Bytes) -> str | None:
        """What keeps an answer from solving its question by the rules, if anything.

        Args:
            question: (H, W) cell values.
            answer: (H, W) cell values, whatever a model may have written.
        """

    @property
    def vocab_size(self) -> int:
        """Pad and the characters."""
        return len(self.characters) + 1

    @property
    def canvas(self) -> tuple[int, int]:
        """A puzzle fills its canvas."""
        return self.size, self.size

    # -- raw files -----------------------------------------------------------------------------------------------------

    def read(self, sources: Sequence[Path]) -> Table:
        """Read `train.csv` and `test.csv` of each source; every line is a group of one example.

        Raises:
            UserError: naming file and line of the first thing that is wrong.
        """
        alphabet = {character: value for value, character in enumerate(self.characters, 1)}
        return read_rows(sources, side=self.size, alphabet=alphabet, check=self._first_fault)

    def parse(self, text: str) -> Bytes:
        """A grid from its characters row by row, in one line or a line for each row (spaces at their ends may lack).

        Raises:
            ValueError: another size, or another character.
        """
        lines = text.strip("\r\n").splitlines()
        cells = text if len(lines) == 1 else "".join(line.ljust(self.size) for line in lines)
        cells = cells.strip("\r\n")
        if wrong := sorted(set(cells) - set(self.characters)):
            *most, last = ("space" if character == " " else character for character in self.characters)
            raise ValueError(f"{wrong[0]!r} is no cell of a {self.kind}: expected {', '.join(most)} or {last}")
        if len(cells) != self.size**2 or len(lines) not in (1, self.size):
            raise ValueError(f"{len(cells)} cells in {len(lines)} lines instead of {self.size} × {self.size}")
        return np.array([self.characters.index(cell) + 1 for cell in cells], np.uint8).reshape(self.canvas)

    def format(self, grid: Bytes) -> str:
        """A line for each row; a cell without a value is written `?`, which `parse` refuses."""
        return "\n".join("".join(self.symbols[value] for value in row) for row in grid.tolist())

    @property
    def symbols(self) -> str:
        """The characters, behind `?` for a cell without a value."""
        return "?" + self.characters

    # -- symmetries ----------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Bytes:
        """(K,) the symmetry that changes nothing."""
        return np.zeros(1, np.uint8)

    def sample(self, count: int, rng: Rng) -> Bytes:
        """(count, K) random transforms."""
        return rng.integers(dihedral.COUNT, size=(count, 1), dtype=np.uint8)

    def transform(self, grids: Grids, symmetries_BK: Bytes) -> Grids:
        """Each grid under its symmetry."""
        return square_grids(dihedral.apply_square(grids.cells, symmetries_BK[:, 0]))

    def inverse(self, symmetries_BK: Bytes) -> Bytes:
        """(B, K) the symmetries that undo the given ones."""
        return dihedral.INVERSE[symmetries_BK]

    def variant_name(self, group: str, symmetry: Bytes) -> str:
        """`<group>_t<transform>`."""
        return f"{group}_t{symmetry[0]}" if symmetry[0] else group

    # -- tokens --------------------------------------------------------------------------------------------------------

    def encode(self, grids: Grids, offsets_B2: NDArray[np.integer[Any]] | None = None) -> Bytes:
        """(B, L) tokens of grids; such a puzzle is never moved on its canvas."""
        assert offsets_B2 is None
        return grids.cells.reshape(len(grids), -1)

    def decode(self, tokens_BL: Bytes) -> Grids:
        """The grids; a pad token is a cell without a value."""
        return square_grids(np.minimum(tokens_BL, len(self.characters)).astype(np.uint8).reshape(-1, *self.canvas))

    # -- answers -------------------------------------------------------------------------------------------------------

    def is_valid(self, question: Bytes, answer: Bytes) -> bool:
        """Whether the answer solves the question by the rules, whichever correct answer it is."""
        return self.fault(question, answer) is None

    def first_fault(self, questions: Grids, answers: Grids) -> tuple[int, str] | None:
        """The first row whose answer does not solve its question, and what is wrong."""
        return self._first_fault(questions.cells, answers.cells)

    def _first_fault(self, questions_NHW: Bytes, answers_NHW: Bytes) -> tuple[int, str] | None:
        for row, (question, answer) in enumerate(zip(questions_NHW, answers_NHW, strict=True)):
            if message := self.fault(question, answer):
                return row, message
        return None
