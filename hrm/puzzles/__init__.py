"""What a puzzle is, a file for each kind.

A kind of puzzle is a subclass of `hrm.puzzles.base.PuzzleKind`; adding it to `Puzzle` makes it known to `params.yaml`.
"""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from hrm.errors import UserError
from hrm.puzzles.arc import Arc
from hrm.puzzles.base import PuzzleKind
from hrm.puzzles.light_up import LightUp, LightUpGenerator
from hrm.puzzles.maze import Maze
from hrm.puzzles.maze_generator import MazeGenerator
from hrm.puzzles.sudoku import Sudoku
from hrm.puzzles.sudoku_generator import SudokuGenerator
from hrm.settings import one_line

Puzzle = Annotated[Arc | Sudoku | Maze | LightUp, Field(discriminator="kind")]
Generator = Annotated[SudokuGenerator | MazeGenerator | LightUpGenerator, Field(discriminator="kind")]

_PUZZLE: TypeAdapter[PuzzleKind] = TypeAdapter(Puzzle)


def puzzle_from(values: Any, where: str) -> PuzzleKind:
    """A puzzle from its settings, as an artifact holds them.

    Raises:
        UserError: when they are not those of a known kind; `where` names the file and key.
    """
    try:
        return _PUZZLE.validate_python(values)
    except ValidationError as error:
        raise UserError(one_line(error, where, values)) from None


__all__ = [
    "Arc",
    "Generator",
    "Maze",
    "MazeGenerator",
    "Puzzle",
    "PuzzleKind",
    "Sudoku",
    "SudokuGenerator",
    "puzzle_from",
]
