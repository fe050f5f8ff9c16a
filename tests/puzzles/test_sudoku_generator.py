"""Generated Sudokus against a brute-force solver and against what is known about 4 x 4 Sudokus."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hrm.errors import UserError
from hrm.puzzles.base import Table
from hrm.puzzles.rows import square_grids
from hrm.puzzles.sudoku import Sudoku
from hrm.puzzles.sudoku_generator import SudokuGenerator
from hrm.puzzles.sudoku_orbit import canonical_form
from hrm.puzzles.sudoku_solver import Search, Solver

Grid = np.ndarray


def count_solutions(grid: Grid, box: tuple[int, int], limit: int = 2) -> int:
    """Plain backtracking on sets, sharing nothing with the solver."""
    side = len(grid)

    def options(i: int, j: int) -> set[int]:
        top, left = i // box[0] * box[0], j // box[1] * box[1]
        taken = {*grid[i].tolist(), *grid[:, j].tolist(), *grid[top : top + box[0], left : left + box[1]].flat}
        return set(range(1, side + 1)) - taken

    blanks = [(len(options(i, j)), i, j) for i, j in np.argwhere(grid == 0).tolist()]
    if not blanks:
        return 1
    _, i, j = min(blanks)
    found = 0
    for digit in options(i, j):
        grid[i, j] = digit
        found += count_solutions(grid, box, limit - found)
        grid[i, j] = 0
        if found >= limit:
            break
    return found


def generated(folder: Path, generator: SudokuGenerator) -> Table:
    generator.write(folder)
    return Sudoku(box=generator.box).read([folder])


def pairs(table: Table) -> list[tuple[Grid, Grid]]:
    return [
        pair
        for split in (table.train, table.test)
        for pair in zip(split.questions.cells, split.answers.cells, strict=True)
    ]


@pytest.mark.parametrize(
    ("box", "train", "test"), [((2, 2), 40, 10), ((2, 3), 12, 3), ((3, 2), 12, 3), ((3, 3), 2, 1), ((2, 4), 2, 1)]
)
def test_one_solution_and_no_given_to_spare(tmp_path: Path, box: tuple[int, int], train: int, test: int) -> None:
    table = generated(tmp_path, SudokuGenerator(box=box, train=train, test=test, seed=5))
    assert (len(table.train), len(table.test)) == (train, test)
    for question, answer in pairs(table):
        assert count_solutions(question.copy(), box) == 1
        assert Sudoku(box=box).is_valid(question, answer)
        for i, j in np.argwhere(question).tolist():
            fewer = question.copy()
            fewer[i, j] = 0
            assert count_solutions(fewer, box) > 1


def test_number_of_givens(tmp_path: Path) -> None:
    table = generated(tmp_path, SudokuGenerator(train=5, test=2, givens=32))
    assert {np.count_nonzero(question) for question, _ in pairs(table)} == {32}
    assert all(count_solutions(question.copy(), (3, 3)) == 1 for question, _ in pairs(table))


def test_rating_is_kept_above_the_bound(tmp_path: Path) -> None:
    table = generated(tmp_path, SudokuGenerator(train=3, test=1, min_rating=2))
    ratings = [*table.train.ratings.tolist(), *table.test.ratings.tolist()]
    assert min(ratings) >= 2
    again = [Solver((3, 3)).solve(question.ravel().tolist()).dead_ends for question, _ in pairs(table)]
    assert again == ratings


@pytest.mark.parametrize("held_out", ["orbits", "puzzles"])
def test_splits_share_nothing(tmp_path: Path, held_out: str) -> None:
    generator = SudokuGenerator(box=(2, 2), train=300, test=100, seed=3, held_out=held_out)
    table = generated(tmp_path, generator)
    questions = [question.tobytes() for question, _ in pairs(table)]
    assert len(set(questions)) == 400
    forms = [canonical_form((2, 2), *pair) for pair in pairs(table)]
    shared = set(forms[:300]) & set(forms[300:])
    assert bool(shared) == (held_out == "puzzles")


def test_no_image_of_a_test_puzzle_is_drawn_in_training(tmp_path: Path) -> None:
    table = generated(tmp_path, SudokuGenerator(box=(2, 2), train=30, test=30, seed=3))
    sudoku = Sudoku(box=(2, 2))
    rng = np.random.default_rng(0)
    grids = table.train.questions.take(rng.integers(30, size=100_000))
    images = sudoku.transform(grids, sudoku.sample(100_000, rng))
    seen = {image.tobytes() for image in images.cells}
    assert len(seen) > 10_000
    assert not seen & {question.tobytes() for question in table.test.questions.cells}


def test_the_same_everywhere(tmp_path: Path) -> None:
    """A seed stands for these bytes on every machine; a change here changes every published seed."""
    digests = {}
    for box, givens in (((2, 2), "minimal"), ((2, 3), 14), ((3, 3), "minimal")):
        generator = SudokuGenerator(box=box, train=6, test=2, seed=11, givens=givens)
        for attempt in ("one", "two"):
            generator.write(tmp_path / attempt)
        files = [tmp_path / attempt / f"{split}.csv" for split in ("train", "test") for attempt in ("one", "two")]
        contents = [file.read_bytes() for file in files]
        assert contents[0] == contents[1]
        assert contents[2] == contents[3]
        digests[box] = hashlib.sha256(contents[0] + contents[2]).hexdigest()[:16]
    assert digests == {(2, 2): "9f5784ffce3ec359", (2, 3): "f7351f13999191f8", (3, 3): "fa050f5e772b1130"}


def test_another_seed_gives_other_puzzles(tmp_path: Path) -> None:
    for seed in (0, 1):
        SudokuGenerator(box=(2, 2), train=9, test=1, seed=seed).write(tmp_path / str(seed))
    assert (tmp_path / "0" / "train.csv").read_bytes() != (tmp_path / "1" / "train.csv").read_bytes()


def test_impossible_settings_are_refused() -> None:
    for box, givens in (((3, 3), 16), ((2, 2), 3), ((2, 2), 16), ((2, 3), 7)):
        with pytest.raises(ValidationError, match=f"givens = {givens} must be minimal or between"):
            SudokuGenerator(box=box, train=1, test=1, givens=givens)
    with pytest.raises(ValidationError):
        SudokuGenerator(train=0, test=1)


def test_too_few_different_puzzles_end_with_one_line(tmp_path: Path) -> None:
    # 4 x 4 Sudokus never need a guess.
    with pytest.raises(UserError, match="generator: 1 train and 1 test puzzles missing after 20000 attempts"):
        SudokuGenerator(box=(2, 2), train=1, test=1, min_rating=1).write(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_solver_knows_no_one_and_many_solutions() -> None:
    solver = Solver((2, 2))
    assert solver.solve([1, 1, *[0] * 14]).answers == []
    assert solver.solve([1, 2, 3, 0, 0, 0, 0, 4, *[0] * 8]).answers == []  # no digit is left for a cell
    assert len(solver.solve([0] * 16).answers) == 2
    assert len(solver.solve([0] * 16, limit=1000).answers) == 288


def test_known_counts_of_4x4_sudokus() -> None:
    """288 grids in 2 classes; 85,632 minimal puzzles in 36 classes: 13 with 4 givens, 22 with 5, 1 with 6."""
    solver = Solver((2, 2))
    empty = solver.candidates([0] * 16)
    assert empty is not None
    grids = np.array(list(Search(solver, empty)), np.uint8)
    classes: dict[bytes, list[Grid]] = {}
    for grid in grids:
        classes.setdefault(canonical_form((2, 2), grid.reshape(4, 4), grid.reshape(4, 4)), []).append(grid)
    assert sorted(map(len, classes.values())) == [96, 192]
    puzzles, orbits = 0, {}
    for members in classes.values():
        minimal = minimal_puzzles(members[0], grids)
        puzzles += len(members) * len(minimal)
        for puzzle in minimal:
            form = canonical_form((2, 2), puzzle.reshape(4, 4), members[0].reshape(4, 4))
            orbits[form] = np.count_nonzero(puzzle)
    assert puzzles == 85_632
    assert Counter(orbits.values()) == {4: 13, 5: 22, 6: 1}


def minimal_puzzles(grid: Grid, grids: Grid) -> list[Grid]:
    """All puzzles with this solution from which no given can be taken: a given in every difference to another grid."""
    bits = 1 << np.arange(16)
    sets = np.arange(1 << 16)
    unique = np.logical_and.reduce([sets & difference != 0 for difference in (grids != grid) @ bits if difference])
    spare = np.logical_or.reduce([(sets & bit != 0) & unique[sets & ~bit] for bit in bits])
    return [np.where(chosen & bits, grid, 0).astype(np.uint8) for chosen in sets[unique & ~spare]]


@settings(max_examples=60, deadline=None)
@given(box=st.sampled_from([(2, 2), (2, 3), (3, 2), (3, 3)]), seed=st.integers(0, 2**32))
def test_canonical_form_is_the_same_for_images(box: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    solver, sudoku = Solver(box), Sudoku(box=box)
    empty = solver.candidates([0] * sudoku.side**2)
    assert empty is not None
    search = Search(solver, empty, order=lambda bits: rng.permutation(bits).tolist())
    answer = np.array(next(iter(search)), np.uint8).reshape(sudoku.canvas)
    question = np.where(rng.random(sudoku.canvas) < 0.4, answer, 0).astype(np.uint8)
    symmetry = sudoku.sample(1, rng)
    moved = [sudoku.transform(square_grids(grid[None]), symmetry).grid(0) for grid in (question, answer)]
    form = canonical_form(box, question, answer)
    assert canonical_form(box, *moved) == form
    assert np.count_nonzero(np.frombuffer(form, np.uint8)) == np.count_nonzero(question)
    i, j = rng.integers(sudoku.side, size=2)
    question[i, j] = 0 if question[i, j] else answer[i, j]
    assert canonical_form(box, question, answer) != form
