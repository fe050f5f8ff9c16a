"""Generated mazes: long enough, all different, the same on every machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from hrm.errors import UserError
from hrm.puzzles import dihedral, maze_generator
from hrm.puzzles.base import Table
from hrm.puzzles.maze import GOAL, START, WALL, Maze
from hrm.puzzles.maze_generator import MazeGenerator


def generated(folder: Path, generator: MazeGenerator) -> Table:
    generator.write(folder)
    # Reading checks every answer by itself.
    return Maze(size=generator.size).read([folder])


def test_paths_are_longer_than_asked_for(tmp_path: Path) -> None:
    table = generated(tmp_path, MazeGenerator(size=10, train=60, test=20, min_path=14))
    assert (len(table.train), len(table.test)) == (60, 20)
    for split in (table.train, table.test):
        assert split.ratings.min() > 14
        assert len(np.unique(split.ratings)) > 4
        path_cells = (split.answers.cells != split.questions.cells).sum(axis=(1, 2))
        assert np.array_equal(path_cells, split.ratings - 1)


def test_published_size(tmp_path: Path) -> None:
    table = generated(tmp_path, MazeGenerator(train=3, test=1))
    assert table.train.ratings.min() > 110


def test_wall_density(tmp_path: Path) -> None:
    table = generated(tmp_path, MazeGenerator(size=20, train=40, test=1, min_path=1, wall_density=(0.1, 0.2)))
    walls = (table.train.questions.cells == WALL).mean(axis=(1, 2))
    assert walls.mean() == pytest.approx(0.15, abs=0.02)
    assert walls.std() > 0.02


def test_no_maze_comes_twice_nor_its_image_in_the_other_split(tmp_path: Path) -> None:
    # So small that images would come up often.
    table = generated(tmp_path, MazeGenerator(size=3, train=60, test=40, min_path=2, wall_density=(0.2, 0.4)))
    splits = [{maze.tobytes() for maze in split.questions.cells} for split in (table.train, table.test)]
    assert [len(split) for split in splits] == [60, 40]
    images = {
        dihedral.apply(maze, code).tobytes() for maze in table.train.questions.cells for code in range(dihedral.COUNT)
    }
    assert len(images) > 200
    assert not images & splits[1]


def test_the_same_everywhere(tmp_path: Path) -> None:
    """A seed stands for these bytes on every machine; a change here changes every published seed."""
    generator = MazeGenerator(size=8, train=12, test=4, min_path=8, seed=11)
    contents = []
    for attempt in ("one", "two"):
        generator.write(tmp_path / attempt)
        contents.append(b"".join((tmp_path / attempt / f"{split}.csv").read_bytes() for split in ("train", "test")))
    assert contents[0] == contents[1]
    assert hashlib.sha256(contents[0]).hexdigest()[:16] == "693f35b4c1246046"
    generator.model_copy(update={"seed": 12}).write(tmp_path / "other")
    assert (tmp_path / "other" / "train.csv").read_bytes() != (tmp_path / "one" / "train.csv").read_bytes()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"wall_density = \[0.5, 0.3\]: the first must not be larger"):
        MazeGenerator(train=1, test=1, wall_density=(0.5, 0.3))
    with pytest.raises(ValidationError, match="min_path = 110 must be less than 66 for size = 10"):
        MazeGenerator(size=10, train=1, test=1)


def test_too_rare_mazes_end_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maze_generator, "PATIENCE", 500)
    with pytest.raises(UserError, match="generator: 2 train and 1 test puzzles missing after 500 attempts"):
        MazeGenerator(size=3, train=2, test=1, min_path=5, wall_density=(0.0, 0.0)).write(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_unique_mazes_have_one_shortest_path(tmp_path: Path) -> None:
    """Counted by walking every shortest path; without the setting some mazes have more."""

    def paths(maze: np.ndarray) -> int:
        open_cells = {(int(i), int(j)) for i, j in np.argwhere(maze != WALL)}
        (start,), (goal,) = np.argwhere(maze == START).tolist(), np.argwhere(maze == GOAL).tolist()
        fronts = {tuple(start): 1}
        seen = set(fronts)
        while fronts and tuple(goal) not in fronts:
            after: dict[tuple[int, int], int] = {}
            for (i, j), count in fronts.items():
                for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                    if cell in open_cells and cell not in seen:
                        after[cell] = after.get(cell, 0) + count
            seen |= set(after)
            fronts = after
        return fronts[tuple(goal)]

    counts = {}
    for unique in (True, False):
        MazeGenerator(size=7, train=60, test=20, min_path=6, unique=unique).write(tmp_path / str(unique))
        table = Maze(size=7).read([tmp_path / str(unique)])
        counts[unique] = [paths(maze) for maze in table.train.questions.cells]
    assert set(counts[True]) == {1}
    assert max(counts[False]) > 1
