"""Sudoku: the puzzle protocol, its symmetries for every box size, and the rules."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hrm.errors import UserError
from hrm.puzzles.base import Grids
from hrm.puzzles.rows import square_grids
from hrm.puzzles.sudoku import Sudoku
from hrm.puzzles.table import Row, write_table

BOXES = [(2, 2), (2, 3), (3, 2), (3, 3), (2, 4)]
SUDOKU = Sudoku()
SMALL = Sudoku(box=(2, 2))
QUESTION = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def solved(box: tuple[int, int]) -> np.ndarray:
    """A grid that obeys the rules: each row is the one above moved by a box's width, and by one from band to band."""
    height, width = box
    side = height * width
    row, column = np.indices((side, side))
    return ((row % height * width + row // height + column) % side + 1).astype(np.uint8)


def obeys(grid: np.ndarray, box: tuple[int, int]) -> bool:
    """The rules, spelt out once more."""
    side = len(grid)
    whole = set(range(1, side + 1))
    boxes = [
        grid[i : i + box[0], j : j + box[1]].ravel() for i in range(0, side, box[0]) for j in range(0, side, box[1])
    ]
    return all(set(unit.tolist()) == whole for unit in [*grid, *grid.T, *boxes])


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_settings() -> None:
    assert (SUDOKU.canvas, SUDOKU.vocab_size, SUDOKU.ignored_label, SUDOKU.has_puzzle_ids) == ((9, 9), 11, None, False)
    assert (SMALL.canvas, SMALL.vocab_size) == ((4, 4), 6)
    assert SMALL.model_dump(mode="json") == {"kind": "sudoku", "box": [2, 2]}
    assert Sudoku.model_validate({"kind": "sudoku", "box": [2, 3]}) == Sudoku(box=(2, 3))
    for box in ((1, 4), (3, 4)):
        with pytest.raises(ValidationError, match="a box has at least 2 rows and 2 columns and at most 9 cells"):
            Sudoku(box=box)


@pytest.mark.parametrize("box", BOXES)
def test_symmetries_keep_the_rules_and_are_undone(box: tuple[int, int]) -> None:
    sudoku = Sudoku(box=box)
    side = sudoku.side
    grids = square_grids(np.repeat(solved(box)[None], 200, axis=0))
    symmetries = sudoku.sample(200, seeded(1))
    assert symmetries.dtype == np.uint8
    assert symmetries.shape == (200, 3 * side + 2)
    moved = sudoku.transform(grids, symmetries)
    assert all(obeys(grid, box) for grid in moved.cells)
    assert len({grid.tobytes() for grid in moved.cells}) > 60
    assert np.array_equal(sudoku.transform(moved, sudoku.inverse(symmetries)).cells, grids.cells)
    assert np.array_equal(sudoku.inverse(sudoku.inverse(symmetries)), symmetries)
    identity = np.tile(sudoku.identity, (200, 1))
    assert np.array_equal(sudoku.transform(moved, identity).cells, moved.cells)


@given(box=st.sampled_from(BOXES), seed=st.integers(0, 2**32))
def test_symmetries_of_puzzles_are_undone(box: tuple[int, int], seed: int) -> None:
    rng = seeded(seed)
    sudoku = Sudoku(box=box)
    grids = square_grids(rng.integers(sudoku.side + 1, size=(7, *sudoku.canvas), dtype=np.uint8))
    symmetries = sudoku.sample(7, rng)
    moved = sudoku.transform(grids, symmetries)
    assert np.array_equal(np.sort(moved.cells == 0, axis=None), np.sort(grids.cells == 0, axis=None))
    assert np.array_equal(sudoku.transform(moved, sudoku.inverse(symmetries)).cells, grids.cells)


def test_a_symmetry_read_by_hand() -> None:
    grid = np.array([[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]], np.uint8)
    # Transpose; then rows 1 0 3 2, columns 2 3 0 1; then digits 1 and 2 change places.
    symmetry = np.array([1, 1, 0, 3, 2, 2, 3, 0, 1, 0, 2, 1, 3, 4], np.uint8)
    expected = [
        [2 if d == 1 else 1 if d == 2 else d for d in row] for row in grid.T[[1, 0, 3, 2]][:, [2, 3, 0, 1]].tolist()
    ]
    assert SMALL.transform(square_grids(grid[None]), symmetry[None]).grid(0).tolist() == expected
    assert SMALL.variant_name("train-3", symmetry) == "train-3_t1_1032_2301_02134"
    assert SMALL.variant_name("train-3", SMALL.identity) == "train-3"


def test_every_symmetry_of_the_rules_is_drawn() -> None:
    drawn = {symmetry.tobytes() for symmetry in SMALL.sample(100_000, seeded(0))}
    assert len(drawn) == 2 * 8 * 8 * 24
    oblong = Sudoku(box=(2, 3)).sample(1000, seeded(0))
    assert not oblong[:, 0].any()


@given(box=st.sampled_from(BOXES), seed=st.integers(0, 2**32))
def test_tokens_and_text_both_ways(box: tuple[int, int], seed: int) -> None:
    sudoku = Sudoku(box=box)
    cells = seeded(seed).integers(sudoku.side + 1, size=(5, *sudoku.canvas), dtype=np.uint8)
    tokens = sudoku.encode(square_grids(cells))
    assert tokens.shape == (5, sudoku.side**2)
    assert (tokens == cells.reshape(5, -1) + 1).all()
    assert np.array_equal(sudoku.decode(tokens).cells, cells)
    assert np.array_equal(sudoku.parse(sudoku.format(cells[0])), cells[0])


def test_pad_tokens_are_blanks() -> None:
    assert SMALL.decode(np.zeros((1, 16), np.uint8)).grid(0).tolist() == [[0] * 4] * 4


def test_text_as_people_write_it() -> None:
    drawn = """
        1 . | . 4
        . 0 | 1 .
        ----+----
        2 . | . 3
        . 3 | . .
    """
    assert SMALL.format(SMALL.parse(drawn)) == "1..4..1.2..3.3.."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1234", "4 cells instead of 16"),
        ("5" + "." * 15, "'5' is no cell of a Sudoku: expected digits up to 4, or . for a blank"),
        ("x" + "." * 15, "'x' is no cell of a Sudoku: expected digits up to 4, or . for a blank"),
    ],
)
def test_text_that_is_no_sudoku(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        SMALL.parse(text)
    assert str(error.value) == message


def test_valid_answers() -> None:
    question, answer = SUDOKU.parse(QUESTION), SUDOKU.parse(ANSWER)
    assert SUDOKU.is_valid(question, answer)
    assert SUDOKU.is_valid(np.zeros_like(question), answer)
    assert not SUDOKU.is_valid(question, question)
    # Another grid that obeys the rules, but not the givens.
    assert not SUDOKU.is_valid(question, answer[::-1])


@given(box=st.sampled_from(BOXES), seed=st.integers(0, 2**32), swapped=st.booleans())
def test_valid_means_the_rules(box: tuple[int, int], seed: int, swapped: bool) -> None:
    rng = seeded(seed)
    sudoku = Sudoku(box=box)
    answer = sudoku.transform(square_grids(solved(box)[None]), sudoku.sample(1, rng)).grid(0)
    if swapped:  # keeps every row whole: only columns and boxes can tell
        row = rng.integers(sudoku.side)
        answer[row] = rng.permutation(answer[row])
    assert sudoku.is_valid(np.zeros_like(answer), answer) == obeys(answer, box)


def test_a_latin_square_is_not_enough() -> None:
    row, column = np.indices((4, 4))
    latin = ((row + column) % 4 + 1).astype(np.uint8)
    assert not SMALL.is_valid(np.zeros_like(latin), latin)


def folder(path: Path, question: str, answer: str) -> Path:
    write_table(path / "train.csv", [Row("s", QUESTION, ANSWER, 0), Row("s", question, answer, 31)])
    write_table(path / "test.csv", [Row("s", QUESTION.replace(".", "0"), ANSWER, 2)])
    return path


def test_reads_its_files(tmp_path: Path) -> None:
    table = SUDOKU.read([folder(tmp_path, QUESTION, ANSWER)])
    assert list(table.names) == ["train-0", "train-1", "test-0"]
    assert isinstance(table.test.questions, Grids)
    assert np.array_equal(table.test.questions.grid(0), SUDOKU.parse(QUESTION))
    assert np.array_equal(table.train.answers.grid(1), SUDOKU.parse(ANSWER))
    assert table.train.ratings.tolist() == [0, 31]
    assert table.test.groups.tolist() == [2]


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        ("55" + QUESTION[2:], ANSWER, "the givens of the question contradict each other"),
        ("3" + QUESTION[1:], ANSWER, "the givens of the question contradict each other"),
        (QUESTION[:2] + "1" + QUESTION[3:], ANSWER, "the answer changes a given"),
        (QUESTION, ANSWER[:2] + "." + ANSWER[3:], "the answer breaks the rules"),
        (QUESTION, ANSWER[:2] + ANSWER[3] + ANSWER[2] + ANSWER[4:], "the answer breaks the rules"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, question: str, answer: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        SUDOKU.read([folder(tmp_path, question, answer)])
    assert str(error.value) == f"{tmp_path / 'train.csv'}: line 3: {message}; correct the line"


def test_another_box_size_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train.csv: line 2: the question has 81 cells instead of 16"):
        SMALL.read([folder(tmp_path, QUESTION, ANSWER)])


def test_drawing_shows_givens_bold_and_frames_what_is_wrong() -> None:
    question = SMALL.parse("1..4..1.2..3.3..")
    answer = SMALL.parse("1234341221434321")
    svg = "{http://www.w3.org/2000/svg}"
    bold = [
        text.text
        for group in ElementTree.fromstring(SMALL.draw(answer, question)).iter(f"{svg}g")
        if group.get("font-weight") == "700"
        for text in group
    ]
    assert bold == ["1", "4", "1", "2", "3", "3"]
    assert "stroke-dasharray" not in SMALL.draw(answer)
    assert "stroke-dasharray" not in SMALL.draw(answer, question)
    assert "stroke-dasharray" in SMALL.draw(answer, SMALL.parse("2..." + "." * 12))
    assert "stroke-dasharray" in SMALL.draw(SMALL.parse("11.." + "." * 12))
