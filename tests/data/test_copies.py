import numpy as np

from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset


def test_arc_copies_are_the_trained_variants_with_their_ids(arc: Dataset) -> None:
    copies = symmetric_copies(arc, copies=None, max_puzzles=None, seed=0)
    assert len(copies) == 3 * 7
    assert copies.example_M.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert copies.copy_M.tolist() == list(range(7)) * 3
    groups = arc.test.groups[copies.example_M]
    assert np.array_equal(copies.puzzle_ids_M, arc.starts[groups] + copies.copy_M + 1)
    batch = copies.batch(slice(0, 7))
    assert np.array_equal(batch.inputs[0], arc.puzzle.encode(arc.test.questions.take(slice(0, 1)))[0])


def test_fewer_copies_and_puzzles_are_the_first_ones(arc: Dataset) -> None:
    every = symmetric_copies(arc, copies=None, max_puzzles=None, seed=0)
    some = symmetric_copies(arc, copies=3, max_puzzles=2, seed=0)
    assert some.example_M.tolist() == [0, 0, 0, 1, 1, 1]
    kept = (every.copy_M < 3) & (every.example_M < 2)
    assert np.array_equal(some.puzzle_ids_M, every.puzzle_ids_M[kept])


def test_a_copy_mapped_back_is_the_original(arc: Dataset) -> None:
    copies = symmetric_copies(arc, copies=None, max_puzzles=None, seed=0)
    questions = arc.puzzle.decode(copies.batch(slice(None)).inputs.astype(np.uint8))
    back = arc.puzzle.transform(questions, arc.puzzle.inverse(copies.symmetries_MK))
    original = arc.test.questions.take(copies.example_M)
    assert np.array_equal(back.cells, original.cells)
    assert np.array_equal(back.shapes, original.shapes)
