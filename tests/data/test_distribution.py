"""What the model is given has the published distribution: read off the tokens, and compared with exact expectations.

Draws are compared by chi-square at a fixed seed; a right implementation would pass at all but one seed in a million.
"""

import json
from collections import Counter
from itertools import combinations, pairwise, permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.loader import Position, TrainBatches, prefetched
from hrm.puzzles import Arc, Maze, PuzzleKind, Sudoku, SudokuGenerator
from hrm.puzzles.base import Bytes, Grids

GROUPS = 6
VARIANTS = 1500
"""Of each task besides the original."""


def assert_uniform(counts: Counter[Any], cells: int) -> None:
    """Each of `cells` outcomes came as often as chance lets it: chi-square is below its 1 - 1e-6 quantile."""
    assert len(counts) <= cells
    values = np.array([*counts.values(), *[0] * (cells - len(counts))])
    expected = values.sum() / cells
    assert expected >= 5, "too few draws to tell"
    freedom = cells - 1
    # Wilson and Hilferty's quantile; 4.753 is the normal one.
    most = freedom * (1 - 2 / (9 * freedom) + 4.753 * (2 / (9 * freedom)) ** 0.5) ** 3
    assert ((values - expected) ** 2).sum() / expected < most


# -- a dataset whose symmetries can be read off its tokens -------------------------------------------------------------

QUESTION = np.arange(10, dtype=np.uint8).reshape(2, 5)
"""Every colour once: under a symmetry the place of 0 tells the transform, and the others their images."""
ANSWER = [[0, 7, 7], [7, 0, 7], [7, 7, 0]]


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six tasks of three training pairs each on a canvas of 7; the last three are evaluation tasks."""
    folder = tmp_path_factory.mktemp("readable")
    pair = {"input": QUESTION.tolist(), "output": ANSWER}
    for group in range(GROUPS):
        subset, pairs = ("training", 2) if group < 3 else ("evaluation", 3)
        file = folder / "raw/tasks" / subset / f"task{group}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"train": [pair] * pairs, "test": [pair]}))
    build = BuildSettings(puzzle=Arc(canvas_size=7), sources=["tasks"], variants=VARIANTS, seed=8)
    build_dataset(build, folder / "raw", folder / "out")
    return open_dataset(folder / "out")


def read_off(tokens_L: NDArray[np.integer]) -> tuple[Bytes, tuple[int, int]]:
    """The symmetry (11,) and the offset that a question was given, from its tokens alone."""
    canvas = tokens_L.reshape(7, 7)
    places = np.argwhere(canvas >= 2)
    (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0) + 1
    grid = canvas[top:bottom, left:right] - 2
    turns = (np.rot90(QUESTION, turn) for turn in range(4))
    flips = (QUESTION[:, ::-1], QUESTION[::-1], QUESTION.T, np.rot90(QUESTION)[:, ::-1])
    for code, turned in enumerate((*turns, *flips)):
        if turned.shape == grid.shape and grid[turned == 0] == 0:
            return np.array([code, *(grid[turned == colour][0] for colour in range(10))], np.uint8), (top, left)
    raise AssertionError("0 is in no corner")


def test_variants_are_uniform_over_transforms_and_colours(readable: Dataset) -> None:
    """Read off the test copies: 6 groups less 3, 1500 variants each besides the original, which is the first."""
    copies = symmetric_copies(readable, copies=None, max_puzzles=None, seed=0)
    assert copies.example_M.tolist() == [row for row in range(3) for _ in range(VARIANTS + 1)]
    read = [read_off(tokens) for tokens in copies.batch(slice(None)).inputs]
    symmetries = np.array([symmetry for symmetry, _ in read])
    assert {offset for _, offset in read} == {(0, 0)}, "the test split is never moved"
    assert np.array_equal(symmetries, readable.symmetries[copies.puzzle_ids_M - 1]), "the id is that of the variant"

    drawn = symmetries[copies.copy_M > 0]
    assert_uniform(Counter(drawn[:, 0].tolist()), 8)
    assert not drawn[:, 1].any(), "0 stays"
    for colour in range(1, 10):
        assert_uniform(Counter(drawn[:, 1 + colour].tolist()), 9)
    for one, other in pairwise(range(1, 10)):
        assert_uniform(Counter(map(tuple, drawn[:, [1 + one, 1 + other]].tolist())), 72)
    assert_uniform(Counter(zip(drawn[:, 0].tolist(), drawn[:, 2].tolist(), strict=True)), 72)
    for example in range(3):
        assert len(np.unique(symmetries[copies.example_M == example], axis=0)) == VARIANTS + 1


def test_training_pairs_lie_anywhere_and_one_of_each_puzzle_at_the_top_left(readable: Dataset) -> None:
    """Grids of 2 x 5 and 3 x 3 have 5 x 3 places on a canvas of 7, those of 5 x 2 and 3 x 3 have 3 x 5."""
    loader, position = TrainBatches(readable, batch_size=12, seed=1), Position()
    moved: dict[bool, Counter[Any]] = {True: Counter(), False: Counter()}
    groups = Counter[int]()
    for _ in range(600):
        draw, _ = loader.draw(position)
        batch, position = loader.batch(position)
        for visit in range(4):
            rows = range(3 * visit, 3 * visit + 3)
            read = [read_off(batch.inputs[row]) for row in rows]
            places = [offset for _, offset in read]
            ids = batch.puzzle_ids[rows.start : rows.stop]
            assert len(set(ids.tolist())) == 1
            assert all(np.array_equal(symmetry, readable.symmetries[ids[0] - 1]) for symmetry, _ in read)
            still = [place for place, row in zip(places, rows, strict=True) if not draw.moved_B[row]]
            assert still == [(0, 0)]
            turned = bool(read[0][0][0] in (1, 3, 6, 7))
            moved[turned].update(place for place, row in zip(places, rows, strict=True) if draw.moved_B[row])
            groups[int(ids[0] - 1) // (VARIANTS + 1)] += 1
    assert set(moved[False]) == set(product(range(5), range(3)))
    assert set(moved[True]) == set(product(range(3), range(5)))
    for places in moved.values():
        assert_uniform(places, 15)
    assert groups == dict.fromkeys(range(GROUPS), 400), "each group once an epoch"


# -- the rules of an epoch ---------------------------------------------------------------------------------------------


def test_an_epoch_in_exact_numbers(readable: Dataset) -> None:
    """Six groups of three, batches of seven: three and three, and one of three; two batches an epoch."""
    loader, position = TrainBatches(readable, batch_size=7, seed=2), Position()
    examples, orders, subsets, ends = Counter[int](), Counter[Any](), Counter[Any](), Counter[Any]()
    epochs = 3600
    for epoch in range(epochs):
        order: list[int] = []
        for half in range(2):
            assert position == ((epoch, 3) if half else (0, 0) if not epoch else (epoch - 1, 6))
            draw, position = loader.draw(position)
            groups = readable.train.groups[draw.examples_B]
            assert groups.tolist() == [groups[0]] * 3 + [groups[3]] * 3 + [groups[6]]
            assert draw.examples_B[:3].tolist() == (groups[0] * 3 + np.arange(3)).tolist()
            subsets[int(draw.examples_B[6] % 3)] += 1
            examples.update(draw.examples_B.tolist())
            order += groups[[0, 3, 6]].tolist()
        assert sorted(order) == list(range(GROUPS))
        orders[tuple(order)] += 1
        ends[order[0], order[-1]] += 1
    assert sum(examples.values()) == epochs * 14
    assert_uniform(orders, 720)
    assert set(ends) == set(permutations(range(GROUPS), 2))
    assert_uniform(ends, 30)
    assert_uniform(subsets, 3)
    assert_uniform(examples, 18)


def test_where_there_is_no_room_any_subset_is_as_likely(readable: Dataset) -> None:
    """Batches of five: a group of three, and two of another's three."""
    loader, position, subsets = TrainBatches(readable, batch_size=5, seed=3), Position(), Counter[Any]()
    for _ in range(900):
        draw, position = loader.draw(position)
        subsets[tuple((draw.examples_B[3:] % 3).tolist())] += 1
    assert set(subsets) == set(combinations(range(3), 2))
    assert_uniform(subsets, 3)


def test_a_batch_is_always_full_though_epochs_end_in_it(readable: Dataset) -> None:
    """Batches of 45 take 15 groups, two and a half epochs; nothing is dropped, and no example is padding."""
    loader, position, visits = TrainBatches(readable, batch_size=45, seed=4), Position(), Counter[int]()
    for number in range(1, 21):
        draw, position = loader.draw(position)
        visits.update((draw.examples_B[::3] // 3).tolist())
        done = 15 * number
        assert position in {divmod(done, GROUPS), (done // GROUPS - 1, GROUPS)}
        if done % GROUPS == 0:
            assert visits == dict.fromkeys(range(GROUPS), done // GROUPS)


# -- other kinds -------------------------------------------------------------------------------------------------------


def test_symmetries_of_small_sudokus_are_equally_likely() -> None:
    """All 2 * 8 * 8 * 24 of them, jointly."""
    drawn = Sudoku(box=(2, 2)).sample(60_000, np.random.default_rng(5))
    assert_uniform(Counter(symmetry.tobytes() for symmetry in drawn), 2 * 8 * 8 * 24)


def test_symmetries_of_sudokus_are_equally_likely_part_by_part() -> None:
    """Rows and columns: bands in any order, and lines of a band in any order, 6^4; digits: any permutation."""
    drawn = Sudoku().sample(20_000, np.random.default_rng(6))
    rows, columns, digits = drawn[:, 1:10], drawn[:, 10:19], drawn[:, 20:]
    assert_uniform(Counter(drawn[:, 0].tolist()), 2)
    assert_uniform(Counter(row.tobytes() for row in rows), 6**4)
    assert_uniform(Counter(column.tobytes() for column in columns), 6**4)
    for one, other in pairwise(range(9)):
        assert_uniform(Counter(map(tuple, digits[:, [one, other]].tolist())), 72)
    assert_uniform(Counter(map(tuple, np.column_stack([rows[:, 0], columns[:, 0], drawn[:, 0]]).tolist())), 9 * 9 * 2)


def test_mazes_turn_to_all_eight_sides() -> None:
    assert_uniform(Counter(Maze(size=5).sample(8000, np.random.default_rng(7))[:, 0].tolist()), 8)


KINDS = (
    Arc(canvas_size=7),
    Arc(),
    *(Sudoku(box=box) for box in ((2, 2), (2, 3), (3, 2), (2, 4), (3, 3))),
    Maze(size=6),
)


def random_grids(puzzle: PuzzleKind, count: int, rng: np.random.Generator) -> Grids:
    """Any cells that the kind has; ARC grids of any size."""
    height, width = puzzle.canvas
    if isinstance(puzzle, Arc):
        shapes = [(rng.integers(1, height + 1), rng.integers(1, width + 1)) for _ in range(count)]
        return Grids.of([rng.integers(10, size=shape, dtype=np.uint8) for shape in shapes], puzzle.canvas)
    low, high = (1, 6) if isinstance(puzzle, Maze) else (0, height + 1)
    return Grids.of(list(rng.integers(low, high, size=(count, height, width), dtype=np.uint8)), puzzle.canvas)


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32))
def test_every_variant_mapped_back_is_its_original(puzzle: PuzzleKind, seed: int) -> None:
    """As the model sees it: made, written as tokens, read from them, and undone."""
    rng = np.random.default_rng(seed)
    originals, symmetries = random_grids(puzzle, 20, rng), puzzle.sample(20, rng)
    variants = puzzle.transform(originals, symmetries)
    back = puzzle.transform(puzzle.decode(puzzle.encode(variants)), puzzle.inverse(symmetries))
    assert np.array_equal(back.cells, originals.cells)
    assert np.array_equal(back.shapes, originals.shapes)
    there = puzzle.transform(puzzle.transform(originals, puzzle.inverse(symmetries)), symmetries)
    assert np.array_equal(there.cells, originals.cells)


@pytest.fixture(scope="module")
def sudoku(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("sudoku")
    SudokuGenerator(box=(2, 2), train=50, test=5).write(folder / "raw")
    build_dataset(BuildSettings(puzzle=Sudoku(box=(2, 2)), sources=["raw"], variants=9), folder, folder / "out")
    return open_dataset(folder / "out")


@settings(deadline=None, max_examples=40)
@given(st.booleans(), st.integers(1, 9), st.integers(0, 3), st.integers(0, 15))
def test_four_ranks_from_anywhere_give_the_rows_of_one(
    readable: Dataset, sudoku: Dataset, arc: bool, share: int, seed: int, start: int
) -> None:
    """From the start in one process, against four that begin in the middle."""
    dataset, size = readable if arc else sudoku, 4 * share
    whole = list(prefetched(TrainBatches(dataset, batch_size=size, seed=seed), Position(), start + 3))
    begin = whole[start - 1][1] if start else Position()
    for rank in range(4):
        rows = slice(rank * share, (rank + 1) * share)
        parts = prefetched(TrainBatches(dataset, batch_size=size, seed=seed, rows=rows), begin, 3)
        for (part, after), (batch, position) in zip(parts, whole[start:], strict=True):
            assert after == position
            for name in ("inputs", "labels", "puzzle_ids"):
                assert np.array_equal(getattr(part, name), getattr(batch, name)[rows])
