"""How many puzzles a minute the generators write."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clock import seconds
from benchmarks.table import Table, number
from hrm.puzzles import Generator, MazeGenerator, SudokuGenerator


def measure(quick: bool) -> list[Table]:
    """One table: what stands in for the published sources at the hard end, and the demo's puzzles."""
    count = 5 if quick else 500
    generators: dict[str, Generator] = {
        "minimal 9×9 Sudokus, rated 10 or more": SudokuGenerator(min_rating=10, train=count, test=count, seed=1),
        "minimal 4×4 Sudokus": SudokuGenerator(box=(2, 2), train=count, test=count, seed=1),
        "30×30 mazes, paths of more than 110 steps": MazeGenerator(train=count, test=count, seed=1),
    }
    rows = [(name, number(2 * count / _minutes(generator))) for name, generator in generators.items()]
    note = f"{2 * count} of each, written by one process; no test puzzle is an image of a training puzzle."
    return [Table("Generating puzzles", note, ("puzzles", "a minute"), rows)]


def _minutes(generator: Generator) -> float:
    with TemporaryDirectory() as folder:
        return seconds(lambda: generator.write(Path(folder))) / 60
