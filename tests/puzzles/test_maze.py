"""Mazes: the rules against a search of another kind, and the puzzle protocol."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hrm.errors import UserError
from hrm.puzzles.base import Grids
from hrm.puzzles.maze import CHARACTERS, GOAL, PATH, START, WALL, Maze
from hrm.puzzles.maze_paths import distance, layers, place, shortest_path, to_bits
from hrm.puzzles.rows import square_grids
from hrm.puzzles.table import Row, write_table

MAZE = Maze(size=5)
QUESTION = ["S  # ", " # # ", "   # ", "## # ", "G    "]
ANSWER = ["So # ", " #o# ", "  o# ", "##o# ", "Goo  "]
SHORTEST = ["S  # ", "o# # ", "ooo# ", "##o# ", "Goo  "]
OTHER_SHORTEST = ["Soo# ", " #o# ", "  o# ", "##o# ", "Goo  "]


def grid(lines: list[str]) -> np.ndarray:
    return MAZE.parse("\n".join(lines))


def queue_distance(maze: np.ndarray) -> int | None:
    """The textbook search."""
    (start,), (goal,) = np.argwhere(maze == START).tolist(), np.argwhere(maze == GOAL).tolist()
    steps = {tuple(start): 0}
    queue = deque([tuple(start)])
    while queue:
        i, j = queue.popleft()
        for cell in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            inside = 0 <= cell[0] < maze.shape[0] and 0 <= cell[1] < maze.shape[1]
            if inside and maze[cell] != WALL and cell not in steps:
                steps[cell] = steps[i, j] + 1
                queue.append(cell)
    return steps.get(tuple(goal))


@st.composite
def mazes(draw: st.DrawFn) -> np.ndarray:
    """Any maze with a start and a goal, solvable or not."""
    size = draw(st.integers(2, 9))
    maze = draw(hnp.arrays(np.uint8, (size, size), elements=st.sampled_from([1, 2, 2])))
    start, goal = draw(st.permutations(range(size * size)))[:2]
    maze.flat[start], maze.flat[goal] = START, GOAL
    return maze


def solved(maze: np.ndarray) -> np.ndarray | None:
    width = maze.shape[1]
    goal = to_bits(maze == GOAL)
    fronts = layers(to_bits(maze != WALL), to_bits(maze == START), width)
    if not any(front & goal for front in fronts):
        return None
    answer = maze.copy()
    for cell in shortest_path(fronts, goal, width):
        answer[place(cell, width)] = PATH
    return answer


@given(mazes())
def test_paths_agree_with_a_queue(maze: np.ndarray) -> None:
    width = maze.shape[1]
    steps = distance(to_bits(maze != WALL), to_bits(maze == START), to_bits(maze == GOAL), width)
    assert steps == queue_distance(maze)
    answer = solved(maze)
    assert (answer is None) == (steps is None)
    if answer is not None:
        assert np.count_nonzero(answer == PATH) == steps - 1
        assert Maze(size=width).is_valid(maze, answer)


@given(mazes(), st.data())
def test_no_answer_with_one_cell_changed_is_valid(maze: np.ndarray, data: st.DataObject) -> None:
    answer = solved(maze)
    if answer is None:
        assert not Maze(size=len(maze)).is_valid(maze, maze)
        return
    place = data.draw(st.integers(0, maze.size - 1))
    value = data.draw(st.integers(0, 5).filter(lambda value: value != answer.flat[place]))
    answer.flat[place] = value
    assert not Maze(size=len(maze)).is_valid(maze, answer)


def test_any_shortest_path_is_valid_and_nothing_else() -> None:
    question = grid(QUESTION)
    assert MAZE.is_valid(question, grid(SHORTEST))
    assert MAZE.is_valid(question, grid(OTHER_SHORTEST))
    assert not MAZE.is_valid(question, grid(ANSWER))  # a diagonal step
    longer = Maze(size=3)
    assert not longer.is_valid(longer.parse("S  \n   \nG  "), longer.parse("Soo\n  o\nGoo"))
    assert longer.is_valid(longer.parse("S  \n   \nG  "), longer.parse("S  \no  \nG  "))


def test_a_path_that_leaves_one_side_does_not_enter_the_other() -> None:
    maze = Maze(size=2)
    assert not maze.is_valid(maze.parse("#S\nG#"), maze.parse("#S\nG#"))


def test_settings_and_protocol() -> None:
    maze = Maze()
    assert (maze.canvas, maze.vocab_size, maze.ignored_label, maze.has_puzzle_ids) == ((30, 30), 6, 0, False)
    assert maze.model_dump(mode="json") == {"kind": "maze", "size": 30}
    assert maze.identity.tolist() == [0]


def test_text_both_ways() -> None:
    question = grid(QUESTION)
    assert MAZE.format(question).split("\n") == QUESTION
    assert np.array_equal(MAZE.parse("".join(QUESTION)), question)
    assert np.array_equal(MAZE.parse("\n".join(line.rstrip() for line in QUESTION) + "\n"), question)
    assert (question[0, 0], question[4, 0], question[0, 3], question[0, 1]) == (3, 4, 1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S" * 24, "24 cells in 1 lines instead of 5 × 5"),
        ("S    \n" * 4, "20 cells in 4 lines instead of 5 × 5"),
        ("S    \n" * 4 + "S     x", "'x' is no cell of a maze: expected #, space, S, G or o"),
        ("", "0 cells in 0 lines instead of 5 × 5"),
    ],
)
def test_text_that_is_no_maze(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        MAZE.parse(text)
    assert str(error.value) == message


grids_of_5 = hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.just(5), st.just(5)), elements=st.integers(1, 5))


@given(grids_of_5)
def test_tokens_both_ways(cells: np.ndarray) -> None:
    tokens = MAZE.encode(square_grids(cells))
    assert tokens.shape == (len(cells), 25)
    assert tokens.min() >= 1
    assert np.array_equal(MAZE.decode(tokens).cells, cells)


@given(grids_of_5, st.integers(0, 2**32))
def test_symmetries_are_undone(cells: np.ndarray, seed: int) -> None:
    symmetries = MAZE.sample(len(cells), np.random.default_rng(seed))
    grids = square_grids(cells)
    moved = MAZE.transform(grids, symmetries)
    assert np.array_equal(MAZE.transform(moved, MAZE.inverse(symmetries)).cells, cells)
    unmoved = MAZE.transform(grids, np.tile(MAZE.identity, (len(cells), 1)))
    assert np.array_equal(unmoved.cells, cells)


def test_symmetries_keep_answers_valid() -> None:
    symmetries = np.arange(8, dtype=np.uint8)[:, None]
    questions, answers = (
        MAZE.transform(square_grids(np.repeat(grid(lines)[None], 8, axis=0)), symmetries)
        for lines in (QUESTION, SHORTEST)
    )
    assert all(MAZE.is_valid(*pair) for pair in zip(questions.cells, answers.cells, strict=True))
    assert len({cells.tobytes() for cells in questions.cells}) == 8
    assert MAZE.variant_name("train-7", symmetries[0]) == "train-7"
    assert MAZE.variant_name("train-7", symmetries[5]) == "train-7_t5"


def folder(path: Path, question: list[str], answer: list[str]) -> Path:
    good = Row("s", "".join(QUESTION), "".join(SHORTEST), 8)
    write_table(path / "train.csv", [good, Row("s", "".join(question), "".join(answer), 8)])
    write_table(path / "test.csv", [good])
    return path


def test_reads_its_files(tmp_path: Path) -> None:
    table = MAZE.read([folder(tmp_path, QUESTION, OTHER_SHORTEST)])
    assert list(table.names) == ["train-0", "train-1", "test-0"]
    assert isinstance(table.train.questions, Grids)
    assert np.array_equal(table.train.answers.grid(1), grid(OTHER_SHORTEST))
    assert table.test.ratings.tolist() == [8]


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        (QUESTION, ANSWER, "the answer is not a shortest path from S to G"),
        (QUESTION, [*SHORTEST[:4], "Gooo "], "the answer is not a shortest path from S to G"),
        (QUESTION, ["So # ", *SHORTEST[1:]], "the answer is not a shortest path from S to G"),
        (QUESTION, ["S    ", *SHORTEST[1:]], "the answer differs from the question by more than a path of o"),
        (["S  #S", *QUESTION[1:]], SHORTEST, "a question has one S, one G and no o"),
        ([*QUESTION[:4], "     "], SHORTEST, "a question has one S, one G and no o"),
        (OTHER_SHORTEST, OTHER_SHORTEST, "a question has one S, one G and no o"),
        (["S#   ", "##   ", *QUESTION[2:]], ["S#   ", "##   ", *QUESTION[2:]], "no path leads from S to G"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, question: list[str], answer: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        MAZE.read([folder(tmp_path, question, answer)])
    assert str(error.value) == f"{tmp_path / 'train.csv'}: line 3: {message}; correct the line"


def test_drawing_frames_what_an_answer_must_not_change() -> None:
    question, answer = grid(QUESTION), grid(SHORTEST)
    assert "stroke-dasharray" not in MAZE.draw(answer, question)
    answer[0, 3] = CHARACTERS.index("o") + 1  # through a wall
    svg = MAZE.draw(answer, question)
    assert "stroke-dasharray" in svg
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(texts) == ["G", "S"]
    assert MAZE.draw(np.zeros((5, 5), np.uint8))  # whatever a model says can be drawn


def test_a_line_follows_the_path_from_start_to_goal() -> None:
    maze = Maze(size=3)
    (_, line) = (
        path.get("d")
        for path in ElementTree.fromstring(maze.draw(maze.parse("Soo\n##o\nG o"))).iter(
            "{http://www.w3.org/2000/svg}path"
        )
        if path.get("stroke-linecap") == "round"
    )
    # From the edge of the start along the first row, down the last column; the goal is not beside it.
    assert line == "M25 5L25 15M25 15L25 25M10 5L15 5M15 5L25 5"
    assert "round" not in maze.draw(maze.parse("SG \n   \n   ")), "a question has no path"
