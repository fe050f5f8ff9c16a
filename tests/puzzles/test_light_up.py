"""Light Up: rules and solver against walks along every line, the puzzle protocol, what the generator promises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hrm.errors import UserError
from hrm.puzzles import dihedral, light_up, puzzle_from
from hrm.puzzles.base import Table
from hrm.puzzles.light_up import BULB, FOUR, FREE, WALL, ZERO, LightUp, LightUpGenerator, Solver, rating_of
from hrm.puzzles.rows import square_grids
from hrm.puzzles.table import Row, write_table

PUZZLE = LightUp(size=4)
QUESTION = ["..#.", "1#0.", "..2.", ".3.."]
ANSWER = ["*.#*", "1#0.", ".*2.", "*3*."]


def grid(lines: list[str]) -> np.ndarray:
    return LightUp(size=len(lines)).parse("\n".join(lines))


def walls(cells: np.ndarray) -> np.ndarray:
    return (cells >= WALL) & (cells <= FOUR)


def seen_from(cells: np.ndarray, place: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The cells that one walks over in the four directions, up to a wall."""
    for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        i, j = place[0] + down, place[1] + across
        while 0 <= i < len(cells) and 0 <= j < len(cells) and not walls(cells)[i, j]:
            yield i, j
            i, j = i + down, j + across


def solves(question: np.ndarray, bulbs: set[tuple[int, int]]) -> bool:
    """The rules, word for word."""
    for place, value in np.ndenumerate(question):
        if value == FREE:
            lit_by_others = bulbs & set(seen_from(question, place))
            if (place in bulbs) == bool(lit_by_others):
                return False
        elif value >= ZERO:
            i, j = place
            if len(bulbs & {(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)}) != value - ZERO:
                return False
    return True


def with_bulbs(question: np.ndarray, bulbs: set[tuple[int, int]]) -> np.ndarray:
    answer = question.copy()
    for place in bulbs:
        answer[place] = BULB
    return answer


@st.composite
def questions(draw: st.DrawFn, most_free: int = 9) -> np.ndarray:
    """Any walls, with or without numbers, solvable or not; of few free cells, so that all bulbs can be tried."""
    size = draw(st.integers(2, 4))
    values = st.sampled_from([FREE, FREE, FREE, WALL, ZERO, ZERO + 1, ZERO + 2])
    cells = draw(hnp.arrays(np.uint8, (size, size), elements=values))
    free = np.flatnonzero(cells == FREE)[most_free:]
    cells.flat[free] = WALL
    return cells


def subsets(question: np.ndarray) -> Iterator[set[tuple[int, int]]]:
    free = [tuple(place) for place in np.argwhere(question == FREE).tolist()]
    for taken in product((False, True), repeat=len(free)):
        yield {place for place, bulb in zip(free, taken, strict=True) if bulb}


def as_set(bulbs: int, size: int) -> frozenset[tuple[int, int]]:
    return frozenset(divmod(cell, size) for cell in range(size * size) if bulbs >> cell & 1)


@given(questions())
def test_the_solver_finds_every_solution_once(question: np.ndarray) -> None:
    found = [as_set(bulbs, len(question)) for bulbs in Solver(question).solutions()]
    tried = [frozenset(bulbs) for bulbs in subsets(question) if solves(question, bulbs)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, tried))
    assert (rating_of(question) is not None) == (len(tried) == 1)


@given(questions(most_free=7))
def test_valid_answers_are_those_of_the_rules(question: np.ndarray) -> None:
    puzzle = LightUp(size=len(question))
    for bulbs in subsets(question):
        assert puzzle.is_valid(question, with_bulbs(question, bulbs)) == solves(question, bulbs)


@given(questions(), st.data())
def test_nothing_but_bulbs_in_free_cells_may_change(question: np.ndarray, data: st.DataObject) -> None:
    solution = next(Solver(question).solutions(), None)
    if solution is None:
        return
    puzzle, answer = LightUp(size=len(question)), with_bulbs(question, set(as_set(solution, len(question))))
    assert puzzle.is_valid(question, answer)
    place = data.draw(st.integers(0, question.size - 1))
    allowed = {FREE, BULB} if question.flat[place] == FREE else {int(question.flat[place])}
    answer.flat[place] = data.draw(st.sampled_from(sorted(set(range(9)) - allowed)))
    assert puzzle.fault(question, answer) == "the answer differs from the question by more than bulbs in free cells"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (QUESTION, "a wall has not the number of bulbs beside it that it says"),
        (["**#*", "1#0.", ".*2.", "*3*."], "a bulb lights another"),
        (["*.#.", "1#0*", ".*2.", "*3*."], "a wall has not the number of bulbs beside it that it says"),
        (["*.#.", "1#0.", ".*2.", "*3*."], "a free cell stays dark"),
        (["*.**", "1#0.", ".*2.", "*3*."], "the answer differs from the question by more than bulbs in free cells"),
        (["*..*", "1#0.", ".*2.", "*3*."], "the answer differs from the question by more than bulbs in free cells"),
        (["*.#*", "1#1.", ".*2.", "*3*."], "the answer differs from the question by more than bulbs in free cells"),
    ],
)
def test_wrong_answers_of_every_sort(tmp_path: Path, answer: list[str], message: str) -> None:
    assert PUZZLE.fault(grid(QUESTION), grid(answer)) == message
    good = Row("s", "".join(QUESTION), "".join(ANSWER), 0)
    write_table(tmp_path / "train.csv", [good, Row("s", "".join(QUESTION), "".join(answer), 0)])
    write_table(tmp_path / "test.csv", [good])
    with pytest.raises(UserError) as error:
        PUZZLE.read([tmp_path])
    assert str(error.value) == f"{tmp_path / 'train.csv'}: line 3: {message}; correct the line"


def test_the_example_is_right_and_any_other_right_answer_is() -> None:
    assert PUZZLE.is_valid(grid(QUESTION), grid(ANSWER))
    both = [grid(["*.", ".*"]), grid([".*", "*."])]
    assert all(LightUp(size=2).is_valid(grid(["..", ".."]), answer) for answer in both)
    assert rating_of(grid(["..", ".."])) is None
    assert rating_of(grid(["0.", ".."])) == 0


@given(questions(), st.integers(0, 2**32))
def test_variants_are_undone_and_as_solvable_as_the_original(question: np.ndarray, seed: int) -> None:
    puzzle = LightUp(size=len(question))
    answers = [with_bulbs(question, set(as_set(bulbs, len(question)))) for bulbs in Solver(question).solutions()]
    cells = np.stack([question, *answers])
    symmetries = np.repeat(puzzle.sample(1, np.random.default_rng(seed)), len(cells), axis=0)
    moved = puzzle.transform(square_grids(cells), symmetries)
    assert np.array_equal(puzzle.transform(moved, puzzle.inverse(symmetries)).cells, cells)
    assert all(puzzle.is_valid(moved.cells[0], answer) for answer in moved.cells[1:])
    assert len(list(Solver(moved.cells[0]).solutions())) == len(answers)


@given(questions(), st.integers(0, 7), st.integers(0, 7))
def test_two_symmetries_are_one(question: np.ndarray, first: int, second: int) -> None:
    puzzle = LightUp(size=len(question))

    def moved(cells: np.ndarray, code: int) -> np.ndarray:
        return puzzle.transform(square_grids(cells[None]), np.array([[code]], np.uint8)).cells[0]

    # One that tells all symmetries apart shows which one the two make, and the question follows it.
    corner = np.zeros_like(question)
    corner.flat[:2] = 1, 2
    both = moved(moved(corner, first), second)
    (one,) = (code for code in range(8) if np.array_equal(moved(corner, code), both))
    assert np.array_equal(moved(moved(question, first), second), moved(question, one))
    assert np.array_equal(moved(question, int(puzzle.identity[0])), question)


@given(hnp.arrays(np.uint8, (3, 4, 4), elements=st.integers(1, 8)))
def test_text_and_tokens_both_ways(cells: np.ndarray) -> None:
    tokens = PUZZLE.encode(square_grids(cells))
    assert (tokens.shape, PUZZLE.vocab_size) == ((3, 16), 9)
    assert np.array_equal(PUZZLE.decode(tokens).cells, cells)
    assert np.array_equal(PUZZLE.parse(PUZZLE.format(cells[0])), cells[0])


def test_settings() -> None:
    assert puzzle_from({"kind": "light-up", "size": 4}, "file") == PUZZLE
    assert (PUZZLE.canvas, PUZZLE.title, PUZZLE.ignored_label) == ((4, 4), "Light Up", 0)
    with pytest.raises(ValueError, match=r"'x' is no cell of a light-up: expected \., #, 0, 1, 2, 3, 4 or \*"):
        PUZZLE.parse("x" * 16)


def test_drawing_shows_light_and_frames_what_breaks_a_rule() -> None:
    svg = PUZZLE.draw(grid(ANSWER), grid(QUESTION))
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(texts) == ["0", "1", "2", "3", *"●●●●●"]
    assert 'fill="#ffffff" shape-rendering' not in svg, "a cell is dark"
    assert 'fill="#ffffff" shape-rendering' in PUZZLE.draw(grid(QUESTION))
    assert "stroke-dasharray" not in svg
    assert "stroke-dasharray" not in PUZZLE.draw(grid(QUESTION)), "a question has no faults"
    for place in ((0, 1), (1, 3), (1, 1)):  # a bulb lit by another, one too many beside a 0, one in a wall
        wrong = grid(ANSWER)
        wrong[place] = BULB
        assert "stroke-dasharray" in PUZZLE.draw(wrong, grid(QUESTION))
    assert PUZZLE.draw(np.zeros((4, 4), np.uint8), grid(QUESTION))  # whatever a model says can be drawn


def generated(folder: Path, generator: LightUpGenerator) -> Table:
    generator.write(folder)
    # Reading checks every answer by itself.
    return LightUp(size=generator.size).read([folder])


def test_generated_puzzles_have_one_solution_and_no_number_too_many(tmp_path: Path) -> None:
    table = generated(tmp_path, LightUpGenerator(size=5, train=30, test=10))
    assert (len(table.train), len(table.test)) == (30, 10)
    for question, rating in zip(table.train.questions.cells, table.train.ratings.tolist(), strict=True):
        assert rating_of(question) == rating
        for cell in np.flatnonzero(question >= ZERO).tolist():
            fewer = question.copy()
            fewer.flat[cell] = WALL
            assert len(list(Solver(fewer).solutions())) > 1
    assert len(np.unique(table.train.ratings)) > 3


def test_every_wall_may_have_its_number(tmp_path: Path) -> None:
    table = generated(tmp_path, LightUpGenerator(size=5, train=20, test=5, numbers="all"))
    assert not (table.train.questions.cells == WALL).any()
    assert all(rating_of(question) is not None for question in table.train.questions.cells)


def test_no_puzzle_comes_twice_nor_its_image_in_the_other_split(tmp_path: Path) -> None:
    # So small that images would come up often.
    table = generated(tmp_path, LightUpGenerator(size=3, train=60, test=40, wall_density=0.4))
    splits = [{cells.tobytes() for cells in split.questions.cells} for split in (table.train, table.test)]
    assert [len(split) for split in splits] == [60, 40]
    images = {
        dihedral.apply(cells, code).tobytes() for cells in table.train.questions.cells for code in range(dihedral.COUNT)
    }
    assert len(images) > 120
    assert not images & splits[1]


def test_the_same_everywhere(tmp_path: Path) -> None:
    """A seed stands for these bytes on every machine; a change here changes every published seed."""
    generator = LightUpGenerator(size=6, train=12, test=4, seed=11)
    contents = []
    for attempt in ("one", "two"):
        generator.write(tmp_path / attempt)
        contents.append(b"".join((tmp_path / attempt / f"{split}.csv").read_bytes() for split in ("train", "test")))
    assert contents[0] == contents[1]
    assert hashlib.sha256(contents[0]).hexdigest()[:16] == "99e977eeee78fe8a"
    generator.model_copy(update={"seed": 12}).write(tmp_path / "other")
    assert (tmp_path / "other" / "train.csv").read_bytes() != (tmp_path / "one" / "train.csv").read_bytes()


def test_too_rare_puzzles_end_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_up, "PATIENCE", 50)
    with pytest.raises(UserError, match="generator: 2 train and 1 test puzzles missing after 50 attempts"):
        LightUpGenerator(size=3, train=2, test=1, wall_density=0).write(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
