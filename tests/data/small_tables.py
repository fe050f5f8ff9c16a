"""Small datasets of kinds without puzzle ids, on canvases of 4."""

from pathlib import Path

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.puzzles import Maze, PuzzleKind, Sudoku

SUDOKUS = ("1234341221434321", "1234341243212143", "2143432134121234", "3412123421434321")


def table_dataset(folder: Path, puzzle: PuzzleKind, rows: list[str], variants: int) -> Dataset:
    """Rows `question,answer`, all but the last to train on."""
    raw = folder / "raw/table"
    raw.mkdir(parents=True)
    for split, lines in {"train": rows[:-1], "test": rows[-1:]}.items():
        text = "".join(f"made,{line},7\n" for line in lines)
        (raw / f"{split}.csv").write_text(f"source,question,answer,rating\n{text}")
    settings = BuildSettings(puzzle=puzzle, sources=["table"], variants=variants)
    build_dataset(settings, folder / "raw", folder / "built")
    return open_dataset(folder / "built")


def sudokus(folder: Path, variants: int = 3) -> Dataset:
    rows = [f"{'.' * place}{answer[place:]},{answer}" for place, answer in enumerate(SUDOKUS, 5)]
    return table_dataset(folder, Sudoku(box=(2, 2)), rows, variants)


def mazes(folder: Path) -> Dataset:
    corridors = [f"{'#' * above}{{}}{'#' * (12 - above)}" for above in (0, 4, 8)]
    rows = [f"{walls.format('S  G')},{walls.format('SooG')}" for walls in corridors]
    return table_dataset(folder, Maze(size=4), rows, variants=5)
