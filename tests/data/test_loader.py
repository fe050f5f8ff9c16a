"""The loader against the sampling rules of the release, and against itself cut in other ways."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from hrm.data.batch import IGNORED, Batch
from hrm.data.dataset import Dataset
from hrm.data.loader import Draw, Position, TrainBatches, prefetched


def batches(dataset: Dataset, rows: slice = slice(None), size: int = 12, seed: int = 9) -> TrainBatches:
    return TrainBatches(dataset, batch_size=size, seed=seed, rows=rows)


def equal(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("inputs", "labels", "puzzle_ids"))


def visits(dataset: Dataset, draw: Draw) -> list[NDArray[np.int64]]:
    """The batch rows of each visited puzzle; one puzzle may come twice in a row where epochs meet."""
    groups_B, runs, start = dataset.train.groups[draw.examples_B], [], 0
    while start < len(groups_B):
        size = int((dataset.train.groups == groups_B[start]).sum())
        same_B = draw.variants_B[start : start + size] == draw.variants_B[start]
        runs.append(np.arange(start, start + int(same_B.argmin() or len(same_B))))
        start += len(runs[-1])
    return runs


def test_any_number_of_ranks_draws_the_same_global_batch(arc: Dataset) -> None:
    for ranks in (2, 3, 4):
        share = 12 // ranks
        position = Position()
        for _ in range(20):
            whole, after = batches(arc).batch(position)
            parts = [batches(arc, slice(rank * share, (rank + 1) * share)).batch(position) for rank in range(ranks)]
            assert {part[1] for part in parts} == {after}
            for name in ("inputs", "labels", "puzzle_ids"):
                assert np.array_equal(np.concatenate([getattr(part, name) for part, _ in parts]), getattr(whole, name))
            position = after


def test_it_goes_on_anywhere_as_if_never_stopped(arc: Dataset) -> None:
    """Forty batches, several epochs; a fresh loader at any of the positions draws the same rest."""
    drawn = list(prefetched(batches(arc), Position(), 40))
    for start in (1, 17, 38):
        rest = list(prefetched(batches(arc), drawn[start - 1][1], 40 - start))
        assert all(equal(one, other) for (one, _), (other, _) in zip(rest, drawn[start:], strict=True))


def test_an_epoch_visits_each_group_once_and_takes_its_examples(arc: Dataset) -> None:
    """A group's examples all come, except where the batch has no room for all of the last one."""
    loader, position = batches(arc, size=7), Position()
    sequence: list[int] = []
    for _ in range(60):
        draw, position = loader.draw(position)
        groups = arc.train.groups[draw.examples_B]
        runs = visits(arc, draw)
        for run in runs:
            assert len(set(groups[run])) == 1
            assert len(set(draw.examples_B[run])) == len(run), "no example twice"
        for run in runs[:-1]:
            assert len(run) == (arc.train.groups == groups[run[0]]).sum(), "only the last one is cut"
        sequence += [int(groups[run[0]]) for run in runs]
    for epoch in range(len(sequence) // 5):
        assert sorted(sequence[epoch * 5 : epoch * 5 + 5]) == [0, 1, 2, 3, 4]


def test_draws_have_the_published_distribution(arc: Dataset) -> None:
    """Variants uniform in their group; examples and subsets uniform; one pair of a puzzle, any of them, stays."""
    loader, position = batches(arc, size=64), Position()
    variants, staying, examples, fractions = Counter[int](), Counter[int](), Counter[int](), []
    for _ in range(600):
        draw, position = loader.draw(position)
        for run in visits(arc, draw):
            variants[int(draw.variants_B[run[0]])] += 1
            still = draw.examples_B[run][~draw.moved_B[run]]
            if len(run) == (arc.train.groups == arc.train.groups[draw.examples_B[run[0]]]).sum():
                assert len(still) == 1
                staying[int(still[0])] += 1
        examples.update(draw.examples_B.tolist())
        fractions.append(draw.where_B2)
    per_variant = sum(variants.values()) / 35
    assert len(variants) == 35
    assert all(abs(count - per_variant) < 5 * per_variant**0.5 for count in variants.values())
    for group in range(5):
        rows = np.flatnonzero(arc.train.groups == group)
        for counter in (staying, examples):
            counts = [counter[int(row)] for row in rows]
            mean = sum(counts) / len(counts)
            assert all(abs(count - mean) < 5 * mean**0.5 for count in counts)
    assert abs(np.concatenate(fractions).mean() - 0.5) < 0.01


def test_moved_pairs_stay_on_the_canvas_together(arc: Dataset) -> None:
    """Input and output move alike, reach every place that fits both, and never lose a cell."""
    places: dict[tuple[int, int], set[tuple[int, int]]] = {}
    position, loader = Position(), batches(arc, size=32)
    for _ in range(150):
        draw, _ = loader.draw(position)
        batch, position = loader.batch(position)
        canvas_BHW = (batch.inputs >= 2).reshape(-1, 8, 8)
        labels_BHW = (batch.labels >= 2).reshape(-1, 8, 8)
        for row in range(32):
            question, answer = np.argwhere(canvas_BHW[row]), np.argwhere(labels_BHW[row])
            assert tuple(question.min(0)) == tuple(answer.min(0))
            shape = arc.train.questions.shapes[draw.examples_B[row]]
            assert len(question) == shape.prod()
            both = np.maximum(question.max(0), answer.max(0)) - question.min(0) + 1
            room = (8 - both[0], 8 - both[1])
            places.setdefault((int(room[0]), int(room[1])), set()).add((int(question[0][0]), int(question[0][1])))
            if not draw.moved_B[row]:
                assert tuple(question.min(0)) == (0, 0)
    for (down, right), seen in places.items():
        assert max(place[0] for place in seen) <= down
        assert max(place[1] for place in seen) <= right
    assert any(len(seen) == (down + 1) * (right + 1) for (down, right), seen in places.items())


def test_ignored_labels_and_ids(arc: Dataset) -> None:
    batch, _ = batches(arc).batch(Position())
    assert batch.inputs.dtype == batch.labels.dtype == batch.puzzle_ids.dtype == np.int32
    assert (batch.labels == IGNORED).any()
    assert not (batch.labels == 0).any()
    assert batch.puzzle_ids.min() >= 1
    assert batch.puzzle_ids.max() < arc.num_puzzle_ids


def test_other_seeds_draw_otherwise(arc: Dataset) -> None:
    assert not equal(batches(arc, seed=1).batch(Position())[0], batches(arc, seed=2).batch(Position())[0])


def test_an_error_of_the_loader_reaches_the_loop(arc: Dataset) -> None:
    loader = batches(arc)
    loader.puzzles.firsts_G = loader.puzzles.firsts_G + 1000
    with pytest.raises(IndexError):
        next(prefetched(loader, Position(), 1))
