"""Sudoku of any box size up to 9 x 9: Sudoku-Extreme's files, tokens, symmetries and rules.

Letters for shapes: B grids of a batch, S side, L = S * S cells, K = 3 S + 2 bytes of a symmetry.

A symmetry is written out: whether to transpose, the old row of each new row (S), the old column of each new column (S),
and the new digit of each old one, blank included (S + 1). It maps a grid x to y with `y[i, j] = digits[z[rows[i],
columns[j]]]`, z being x or its transpose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from hrm.puzzles import dihedral
from hrm.puzzles.base import Bytes, Grids, PuzzleKind, Rng, Table
from hrm.puzzles.drawing import Legend, svg_grid
from hrm.puzzles.rows import read_rows, square_grids
from hrm.puzzles.steps import Step

GIVEN, BLANK = "#e8e8ec", "#ffffff"
"""The colours of a cell that the question gives, and of any other."""


def _possible_box(box: tuple[int, int]) -> tuple[int, int]:
    if min(box) < 2 or box[0] * box[1] > 9:
        raise ValueError(
            "a box has at least 2 rows and 2 columns and at most 9 cells, such as [2, 2], [2, 3] or [3, 3]"
        )
    return box


Box = Annotated[tuple[int, int], AfterValidator(_possible_box)]
"""Height and width of a box; a box has as many cells as a row."""


class Sudoku(PuzzleKind):
    """Sudoku; cells are digits, 0 for a blank; token = digit + 1."""

    kind: Literal["sudoku"] = "sudoku"
    box: Box = (3, 3)
    """Height and width of a box; [3, 3] is the usual 9 x 9 Sudoku, [2, 2] the 4 x 4 one."""

    ignored_label: ClassVar[int | None] = None
    has_puzzle_ids: ClassVar[bool] = False
    eases: ClassVar = True
    limits: ClassVar[str] = "Solves Sudokus of this box size only. An answer may be wrong: `valid` says so."

    @property
    def side(self) -> int:
        """Height and width of the grid, and the largest digit."""
        return self.box[0] * self.box[1]

    @property
    def vocab_size(self) -> int:
        """Pad, blank, and the digits."""
        return self.side + 2

    @property
    def canvas(self) -> tuple[int, int]:
        """The grid fills its canvas."""
        return self.side, self.side

    # -- raw files -----------------------------------------------------------------------------------------------------

    def read(self, sources: Sequence[Path]) -> Table:
        """Read `train.csv` and `test.csv` of each source; every line is a group of one example.

        Raises:
            UserError: naming file and line of the first thing that is wrong, contradictory givens included.
        """
        alphabet = {".": 0} | {str(digit): digit for digit in range(self.side + 1)}
        return read_rows(sources, side=self.side, alphabet=alphabet, check=self._first_fault)

    def _first_fault(self, questions_NSS: Bytes, answers_NSS: Bytes) -> tuple[int, str] | None:
        changed_N = _changed(questions_NSS, answers_NSS)
        wrong_N = changed_N | ~self._complete(answers_NSS)
        if not wrong_N.any():
            return None
        row = int(wrong_N.argmax())
        if self._conflicts(questions_NSS[row]).any():
            return row, "the givens of the question contradict each other"
        return row, "the answer changes a given" if changed_N[row] else "the answer breaks the rules"

    def _complete(self, answers_NSS: Bytes) -> NDArray[np.bool]:
        """(N,) whether each row, column and box holds every digit once."""
        height, width = self.box
        bits_SSN = np.left_shift(1, answers_NSS.transpose(1, 2, 0), dtype=np.uint16, order="C")
        boxes = bits_SSN.reshape(width, height, height, width, len(answers_NSS))
        whole = (1 << self.side + 1) - 2
        complete: NDArray[np.bool] = np.ones(len(answers_NSS), dtype=np.bool)
        for unit, axes in ((bits_SSN, (0,)), (bits_SSN, (1,)), (boxes, (1, 3))):
            complete &= (
                (np.bitwise_or.reduce(unit, axis=axes) == whole).reshape(self.side, len(answers_NSS)).all(axis=0)
            )
        return complete

    def _conflicts(self, grid: Bytes) -> NDArray[np.bool]:
        """(S, S) the cells whose digit stands once more in their row, column or box."""
        row, column = np.indices(grid.shape).reshape(2, -1)
        box = row // self.box[0] * self.box[0] + column // self.box[1]
        digits = grid.ravel()
        same_LL = (digits[:, None] == digits) & (digits != 0)
        np.fill_diagonal(same_LL, val=False)
        seen_LL = (row[:, None] == row) | (column[:, None] == column) | (box[:, None] == box)
        conflicts: NDArray[np.bool] = (same_LL & seen_LL).any(axis=1).reshape(grid.shape)
        return conflicts

    def parse(self, text: str) -> Bytes:
        """A grid from S * S digits row by row, `.` or `0` for a blank; white space and `|`, `-`, `+` are skipped.

        Raises:
            ValueError: another number of cells, or another character.
        """
        cells = re.sub(r"[\s|+-]", "", text)
        if wrong := sorted(set(cells) - set(".0123456789"[: self.side + 2])):
            raise ValueError(
                f"{wrong[0]!r} is no cell of a Sudoku: expected digits up to {self.side}, or . for a blank"
            )
        if len(cells) != self.side**2:
            raise ValueError(f"{len(cells)} cells instead of {self.side**2}")
        return np.array([0 if cell == "." else int(cell) for cell in cells], np.uint8).reshape(self.canvas)

    def format(self, grid: Bytes) -> str:
        """One line of S * S characters, `.` for a blank."""
        return "".join(self.symbols[digit] for digit in grid.ravel().tolist())

    @property
    def symbols(self) -> str:
        """Digits, `.` for a blank."""
        return ".123456789"[: self.side + 1]

    # -- symmetries ----------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Bytes:
        """(K,) the symmetry that changes nothing."""
        return np.concatenate(([0], np.arange(self.side), np.arange(self.side), np.arange(self.side + 1))).astype(
            np.uint8
        )

    def sample(self, count: int, rng: Rng) -> Bytes:
        """(count, K) random symmetries, all equally likely (with the published builder's choices)."""
        height, width = self.box
        symmetries = np.zeros((count, len(self.identity)), np.uint8)
        transpose, rows, columns, digits = self._parts(symmetries)
        if height == width:
            transpose[:] = rng.integers(2, size=(count, 1))
        rows[:] = _line_orders(count, width, height, rng)
        columns[:] = _line_orders(count, height, width, rng)
        digits[:, 1:] = rng.permuted(np.tile(np.arange(1, self.side + 1, dtype=np.uint8), (count, 1)), axis=1)
        return symmetries

    def _parts(self, symmetries_BK: Bytes) -> tuple[Bytes, Bytes, Bytes, Bytes]:
        """Views of the parts: transpose (B, 1), rows (B, S), columns (B, S), digits (B, S + 1)."""
        transpose, rows, columns, digits = np.split(symmetries_BK, [1, 1 + self.side, 1 + 2 * self.side], axis=1)
        return transpose, rows, columns, digits

    def transform(self, grids: Grids, symmetries_BK: Bytes) -> Grids:
        """Each grid under its symmetry."""
        transpose_B1, rows_BS, columns_BS, digits_BD = self._parts(symmetries_BK)
        side = self.side
        # Transposing swaps the strides of row and column in the flat grid.
        down_BS = rows_BS.astype(np.intp) * np.where(transpose_B1, 1, side)
        across_BS = columns_BS.astype(np.intp) * np.where(transpose_B1, side, 1)
        down_BS += np.arange(len(grids))[:, None] * side**2
        moved_BSS = grids.cells.ravel()[down_BS[:, :, None] + across_BS[:, None, :]]
        names_B = np.arange(len(grids))[:, None, None] * (side + 1)
        return square_grids(digits_BD.ravel()[names_B + moved_BSS])

    def inverse(self, symmetries_BK: Bytes) -> Bytes:
        """(B, K) the symmetries that undo the given ones."""
        inverses = symmetries_BK.copy()
        transpose_B1, rows_BS, columns_BS, digits_BD = self._parts(symmetries_BK)
        _, rows, columns, digits = self._parts(inverses)
        back_BS, across_BS = np.argsort(rows_BS, axis=1), np.argsort(columns_BS, axis=1)
        rows[:] = np.where(transpose_B1, across_BS, back_BS)
        columns[:] = np.where(transpose_B1, back_BS, across_BS)
        digits[:] = np.argsort(digits_BD, axis=1)
        return inverses

    def variant_name(self, group: str, symmetry: Bytes) -> str:
        """`<group>_t<transpose>_<rows>_<columns>_<digits>`, each as a string of digits."""
        if np.array_equal(symmetry, self.identity):
            return group
        parts = ("".join(map(str, part[0].tolist())) for part in self._parts(symmetry[None]))
        return f"{group}_t{'_'.join(parts)}"

    @property
    def steps(self) -> tuple[Step, ...]:
        """Transposing or not, then rows, columns and digits."""
        side = self.side
        return (
            Step("turn", at=0, codes=(0, dihedral.TRANSPOSE)),
            Step("rows", at=1, size=side),
            Step("columns", at=1 + side, size=side),
            Step("values", at=1 + 2 * side, size=side + 1),
        )

    # -- tokens --------------------------------------------------------------------------------------------------------

    def encode(self, grids: Grids, offsets_B2: NDArray[np.integer[Any]] | None = None) -> Bytes:
        """(B, L) tokens of grids; a Sudoku is never moved on its canvas."""
        assert offsets_B2 is None
        return grids.cells.reshape(len(grids), -1) + np.uint8(1)

    def decode(self, tokens_BL: Bytes) -> Grids:
        """The grids; pad and blank tokens are blanks."""
        digits_BL = np.clip(tokens_BL, 1, self.side + 1).astype(np.uint8) - np.uint8(1)
        return square_grids(digits_BL.reshape(-1, *self.canvas))

    # -- answers -------------------------------------------------------------------------------------------------------

    def is_valid(self, question: Bytes, answer: Bytes) -> bool:
        """Whether the answer keeps the givens and holds every digit once in each row, column and box."""
        return self._first_fault(question[None], answer[None]) is None

    def are_valid(self, questions: Grids, answers: Grids) -> NDArray[np.bool]:
        """(N,) which answers keep the givens and hold every digit once in each row, column and box."""
        return ~_changed(questions.cells, answers.cells) & self._complete(answers.cells)

    def first_fault(self, questions: Grids, answers: Grids) -> tuple[int, str] | None:
        """The first row whose answer does not solve its question, and what is wrong."""
        return self._first_fault(questions.cells, answers.cells)

    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        """A grid as SVG: givens bold on grey; cells that break the rules or change a given are framed."""
        givens = grid if question is None else question
        marked = self._conflicts(grid) | ((givens != 0) & (givens != grid))
        return svg_grid(
            [[GIVEN if given else BLANK for given in row] for row in givens.tolist()],
            label=f"{self.side} × {self.side} Sudoku",
            texts=[[str(digit) if digit else "" for digit in row] for row in grid.tolist()],
            strong=givens != 0,
            marked=marked,
            box=self.box,
        )

    @property
    def legend(self) -> Legend:
        """Digits, those of the question on grey."""
        digits = tuple(str(digit) for digit in range(1, self.side + 1))
        return Legend((BLANK,) * (self.side + 1), ("blank", *digits), ("", *digits), self.box, GIVEN)


def _changed(questions_NSS: Bytes, answers_NSS: Bytes) -> NDArray[np.bool]:
    """(N,) whether an answer changes a given."""
    changed_N: NDArray[np.bool] = ((questions_NSS != 0) & (questions_NSS != answers_NSS)).any(axis=(1, 2))
    return changed_N


def _line_orders(count: int, groups: int, group: int, rng: Rng) -> Bytes:
    """(count, groups * group) random orders of lines that keep `groups` groups of `group` neighbours together."""
    outer = rng.permuted(np.tile(np.arange(groups, dtype=np.uint8), (count, 1)), axis=1)
    inner = rng.permuted(np.tile(np.arange(group, dtype=np.uint8), (count, groups, 1)), axis=2)
    orders: Bytes = outer[:, :, None] * np.uint8(group) + inner
    return orders.reshape(count, groups * group)
