"""Hard Sudokus, and the solver of many puzzles against the solver of one, with which it shares no code."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.puzzles import sudoku_hard
from hrm.puzzles.base import Bytes, Table
from hrm.puzzles.rows import square_grids
from hrm.puzzles.sudoku import Sudoku
from hrm.puzzles.sudoku_batch import BatchSolver, latest, narrowest
from hrm.puzzles.sudoku_generator import SudokuGenerator
from hrm.puzzles.sudoku_hard import hard_sudokus, minimal_puzzles, random_solutions
from hrm.puzzles.sudoku_orbit import canonical_form
from hrm.puzzles.sudoku_solver import Solver

HARD = SudokuGenerator(train=40, test=10, min_rating=10, seed=11)
EVERY = 1_000_000
"""More solutions than any puzzle here has."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hard") / "raw"
    HARD.write(folder)
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    # Reading checks every answer by itself.
    return Sudoku().read([folder])


def test_the_same_everywhere(folder: Path) -> None:
    """A seed stands for these bytes on every machine; a change here changes every published seed."""
    contents = b"".join((folder / f"{split}.csv").read_bytes() for split in ("train", "test"))
    assert hashlib.sha256(contents).hexdigest()[:16] == "7b5c1c06fc979ae4"


def test_one_solution_no_given_to_spare_and_the_rating_of_the_plain_solver(table: Table) -> None:
    solver = Solver((3, 3))
    assert (len(table.train), len(table.test)) == (40, 10)
    for split in (table.train, table.test):
        for question, rating in zip(split.questions.cells, split.ratings, strict=True):
            digits = question.ravel().tolist()
            solved = solver.solve(digits)
            assert len(solved.answers) == 1
            assert solved.dead_ends == rating >= 10
            full = [digit and solved.answers[0][cell] for cell, digit in enumerate(digits)]
            assert all(solver.has_other(full, cell) for cell, digit in enumerate(digits) if digit)


def test_no_test_puzzle_is_an_image_of_a_training_puzzle(table: Table) -> None:
    forms = [
        {canonical_form((3, 3), *pair) for pair in zip(split.questions.cells, split.answers.cells, strict=True)}
        for split in (table.train, table.test)
    ]
    assert [len(split) for split in forms] == [40, 10]
    assert not forms[0] & forms[1]
    sudoku, rng = Sudoku(), np.random.default_rng(0)
    symmetries = sudoku.sample(10, rng)
    images = [sudoku.transform(grids, symmetries).cells for grids in (table.test.questions, table.test.answers)]
    assert {canonical_form((3, 3), *pair) for pair in zip(*images, strict=True)} == forms[1]


def test_batches_go_on_and_each_seed_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudoku_hard, "BATCH", 4)

    def questions(seed: int) -> list[bytes]:
        endless = hard_sudokus((2, 2), seed, 0)
        return [found.question_L.tobytes() for _ in range(12) if (found := next(endless))]

    assert len(set(questions(1))) == 12
    assert questions(1) == questions(1)
    assert not set(questions(1)) & set(questions(2))


def test_puzzles_below_the_rating_are_counted_as_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudoku_hard, "BATCH", 64)
    everything, some = hard_sudokus((3, 3), 5, 0), hard_sudokus((3, 3), 5, 3)
    ratings = []
    for _ in range(64):
        found, kept = next(everything), next(some)
        assert found
        ratings.append(found.rating)
        assert kept is None if found.rating < 3 else kept and kept.rating == found.rating
    assert min(ratings) == 0
    assert max(ratings) >= 3


@settings(max_examples=25, deadline=None)
@given(
    box=st.sampled_from([(2, 2), (2, 3), (3, 2), (2, 4), (3, 3)]),
    seed=st.integers(0, 2**32),
    without=st.integers(0, 2),
    wrong=st.integers(0, 2),
)
def test_agrees_with_the_plain_solver(box: tuple[int, int], seed: int, without: int, wrong: int) -> None:
    """Puzzles with one, several and no solution."""
    rng, solver = np.random.default_rng(seed), BatchSolver(box)
    questions_LN = minimal_puzzles(solver, random_solutions(solver, 5, rng), rng)
    for question_L in questions_LN.T:
        changed = rng.permutation(np.flatnonzero(question_L))[: without + wrong]
        question_L[changed[:without]] = 0
        question_L[changed[without:]] = rng.integers(1, solver.side + 1, size=wrong)
    plain = [Solver(box).solve(question_L.tolist(), limit=EVERY) for question_L in questions_LN.T]
    masks_LN = solver.masks(questions_LN)
    found = solver.search(masks_LN)
    assert found.solved_N.tolist() == [bool(solved.answers) for solved in plain]
    # Givens that contradict each other are one dead end here, and none there.
    legal_N = [Solver(box).candidates(question_L.tolist()) is not None for question_L in questions_LN.T]
    expected = [solved.dead_ends if legal else 1 for solved, legal in zip(plain, legal_N, strict=True)]
    assert found.dead_ends_N.tolist() == expected
    assert solver.search(masks_LN, first=True).solved_N.tolist() == found.solved_N.tolist()
    assert np.array_equal(masks_LN, solver.masks(questions_LN))  # the masks given are left alone


def test_a_hard_puzzle_among_many_easy_ones() -> None:
    """More branches than are followed at once."""
    escargot = "1....7.9..3..2...8..96..5....53..9...1..8...26....4...3......1..4......7..7...3.."
    solver, sudoku = BatchSolver((3, 3)), Sudoku()
    digits = sudoku.parse(escargot).ravel()
    digits_LN = np.tile(digits[:, None], (1, 300))
    digits_LN[int(np.flatnonzero(digits)[3]), 7] = 0
    found = solver.search(solver.masks(digits_LN))
    plain = Solver((3, 3)).solve(digits.tolist())
    assert len(plain.answers) == 1
    assert set(np.delete(found.dead_ends_N, 7).tolist()) == {plain.dead_ends}
    assert solver.search(solver.masks(digits_LN), first=True).solved_N.all()


def test_contradictions_that_no_unit_shows() -> None:
    """A cell without candidates beside cells that have them all; two cells of a unit with the same digit."""
    solver = BatchSolver((3, 3))
    masks_LN = np.full((81, 3), solver.all, np.int16)
    masks_LN[40, 1] = 0
    masks_LN[[0, 8], 2] = 4
    settled_LN, alive_N = solver.settle(masks_LN)
    assert alive_N.tolist() == [True, False, False]
    assert np.array_equal(settled_LN[:, 0], masks_LN[:, 0])
    assert solver.search(masks_LN, first=True).solved_N.tolist() == [True, False, False]
    assert solver.search(masks_LN[:, 1:]).dead_ends_N.tolist() == [1, 1]


def test_random_solutions_are_complete_and_spread() -> None:
    solver, sudoku = BatchSolver((2, 2)), Sudoku(box=(2, 2))
    grids = random_solutions(solver, 4000, np.random.default_rng(0)).T.reshape(-1, 4, 4)
    assert all(sudoku.is_valid(grid, grid) for grid in grids[:50])
    kinds, counts = np.unique(grids, axis=0, return_counts=True)
    assert len(kinds) == 288
    assert counts.max() < 3 * counts.mean()


def test_small_steps_of_the_search() -> None:
    assert latest(np.array([2, 0, 2, 3, 0]), 5).tolist() == [4, 2, 3]
    masks_LN = np.array([[1, 3, 4], [7, 7, 2], [5, 3, 1]], np.int16)
    cell_N, choices_N = narrowest(masks_LN)
    assert (cell_N[0], cell_N[1]) == (2, 0)
    assert choices_N.tolist() == [2, 2, 1]


def most_symmetric() -> Bytes:
    """The 9 x 9 solution with the most symmetries: 648 leave it as it is."""
    band = np.array([[1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 5, 6, 7, 8, 9, 1, 2, 3], [7, 8, 9, 1, 2, 3, 4, 5, 6]])
    shifts = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 0, 4, 5, 3, 7, 8, 6], [2, 0, 1, 5, 3, 4, 8, 6, 7]])
    return np.concatenate([band[:, shift] for shift in shifts]).astype(np.uint8)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_canonical_form_of_a_solution_that_many_symmetries_keep(seed: int) -> None:
    rng, sudoku, answer = np.random.default_rng(seed), Sudoku(), most_symmetric()
    question = np.where(rng.random((9, 9)) < 0.4, answer, 0).astype(np.uint8)
    symmetry = sudoku.sample(1, rng)
    moved = [sudoku.transform(square_grids(grid[None]), symmetry).grid(0) for grid in (question, answer)]
    assert canonical_form((3, 3), *moved) == canonical_form((3, 3), question, answer)


def test_puzzles_that_look_alike_have_different_forms() -> None:
    """Same solution, as many givens in each row, column and box: only the full form tells them apart."""
    answer = most_symmetric()
    forms = set()
    for cells in ([(0, 0), (1, 3), (2, 6)], [(0, 0), (1, 4), (2, 8)]):
        question = np.zeros((9, 9), np.uint8)
        for i, j in cells:
            question[i, j] = answer[i, j]
        forms.add((canonical_form((3, 3), question, answer), tuple(np.count_nonzero(question, axis=1))))
    assert len({counts for _, counts in forms}) == 1
    assert len(forms) == 2
