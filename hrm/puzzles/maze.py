"""Mazes: Maze-Hard's files, tokens, symmetries and rules.

Letters for shapes: N mazes, H = W = size, L = H * W tokens, K = 1 byte of a symmetry (`dihedral`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hrm.puzzles import dihedral
from hrm.puzzles.base import Bytes, Grids, PuzzleKind, Rng, Table
from hrm.puzzles.drawing import svg_grid
from hrm.puzzles.maze_paths import distance, to_bits
from hrm.puzzles.table import read_rows, square_grids

CHARACTERS = "# SGo"
"""Wall, free, start, goal, path: cell values, and tokens, 1 to 5."""
WALL, FREE, START, GOAL, PATH = range(1, 6)
FILLS = ("#b4b4bc", "#2b2d42", "#ffffff", "#8ecae6", "#ffd166", "#f4a261")
"""The colour of each cell value; the first for a cell without one."""

Size = Annotated[int, Field(ge=2, le=128)]


class Maze(PuzzleKind):
    """Square mazes of walls and free cells; the answer marks a shortest path from start to goal."""

    kind: Literal["maze"] = "maze"
    size: Size = 30
    """Height and width."""

    ignored_label: ClassVar[int | None] = 0
    has_puzzle_ids: ClassVar[bool] = False
    limits: ClassVar[str] = "Solves mazes of this size only. An answer may be wrong: `valid` says so."

    @property
    def vocab_size(self) -> int:
        """Pad and the five characters."""
        return len(CHARACTERS) + 1

    @property
    def canvas(self) -> tuple[int, int]:
        """A maze fills its canvas."""
        return self.size, self.size

    # -- raw files -----------------------------------------------------------------------------------------------------

    def read(self, sources: Sequence[Path]) -> Table:
        """Read `train.csv` and `test.csv` of each source; every line is a group of one example.

        Raises:
            UserError: naming file and line of the first thing that is wrong.
        """
        alphabet = {character: value for value, character in enumerate(CHARACTERS, 1)}
        return read_rows(sources, side=self.size, alphabet=alphabet, check=first_fault)

    def parse(self, text: str) -> Bytes:
        """A grid from its characters row by row, in one line or a line for each row (spaces at their ends may lack).

        Raises:
            ValueError: another size, or another character.
        """
        lines = text.strip("\r\n").splitlines()
        cells = text if len(lines) == 1 else "".join(line.ljust(self.size) for line in lines)
        cells = cells.strip("\r\n")
        if wrong := sorted(set(cells) - set(CHARACTERS)):
            raise ValueError(f"{wrong[0]!r} is no cell of a maze: expected #, space, S, G or o")
        if len(cells) != self.size**2 or len(lines) not in (1, self.size):
            raise ValueError(f"{len(cells)} cells in {len(lines)} lines instead of {self.size} × {self.size}")
        return np.array([CHARACTERS.index(cell) + 1 for cell in cells], np.uint8).reshape(self.canvas)

    def format(self, grid: Bytes) -> str:
        """A line for each row; a cell without a value is written `?`, which `parse` refuses."""
        return "\n".join("".join(("?" + CHARACTERS)[value] for value in row) for row in grid.tolist())

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
        """(B, L) tokens of grids; a maze is never moved on its canvas."""
        assert offsets_B2 is None
        return grids.cells.reshape(len(grids), -1)

    def decode(self, tokens_BL: Bytes) -> Grids:
        """The grids; a pad token is a cell without a value."""
        return square_grids(np.minimum(tokens_BL, len(CHARACTERS)).astype(np.uint8).reshape(-1, *self.canvas))

    # -- answers -------------------------------------------------------------------------------------------------------

    def is_valid(self, question: Bytes, answer: Bytes) -> bool:
        """Whether the answer adds to the maze a shortest path from start to goal, whichever, and nothing else."""
        return first_fault(question[None], answer[None]) is None

    def first_fault(self, questions: Grids, answers: Grids) -> tuple[int, str] | None:
        """The first row whose answer does not solve its question, and what is wrong."""
        return first_fault(questions.cells, answers.cells)

    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        """A maze as SVG; cells that differ from the question by anything but a path through a free cell are framed."""
        letters = {START: "S", GOAL: "G"}
        wrong = None
        if question is not None:
            wrong = (grid != question) & ~((question == FREE) & (grid == PATH))
        return svg_grid(
            [[FILLS[value] for value in row] for row in grid.tolist()],
            label=f"{self.size} × {self.size} maze",
            texts=[[letters.get(value, "") for value in row] for row in grid.tolist()],
            marked=wrong,
        )


def first_fault(questions_NHW: Bytes, answers_NHW: Bytes) -> tuple[int, str] | None:
    """The first maze whose answer is not a shortest path, and what is wrong; None when all are right."""
    for row, (question, answer) in enumerate(zip(questions_NHW, answers_NHW, strict=True)):
        if message := _fault(question, answer):
            return row, message
    return None


def _fault(question: Bytes, answer: Bytes) -> str | None:
    if any(np.count_nonzero(question == value) != count for value, count in ((START, 1), (GOAL, 1), (PATH, 0))):
        return "a question has one S, one G and no o"
    path = answer == PATH
    if not np.array_equal(np.where(path, FREE, answer), question):
        return "the answer differs from the question by more than a path of o"
    start, goal = to_bits(question == START), to_bits(question == GOAL)
    width = question.shape[1]
    shortest = distance(to_bits(question != WALL), start, goal, width)
    if shortest is None:
        return "no path leads from S to G"
    # A path of n steps has n - 1 cells between its ends; with more, some would be beside it.
    along = distance(to_bits(path) | start | goal, start, goal, width)
    if along != shortest or np.count_nonzero(path) != shortest - 1:
        return "the answer is not a shortest path from S to G"
    return None
