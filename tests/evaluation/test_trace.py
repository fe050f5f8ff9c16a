"""The trace of a real small model: what it says is what the model answers after each segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_run
import torch

from hrm.config import TrainSettings
from hrm.data.batch import IGNORED
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation import tracer
from hrm.evaluation.predictions import open_predictions
from hrm.evaluation.trace import Trace, open_trace
from hrm.model import HRM, solve
from hrm.training.card import load_model

SEGMENTS = 5


@pytest.fixture(scope="module")
def model(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> HRM:
    folder = tmp_path_factory.mktemp("model")
    settings = TrainSettings.model_validate(small_run.SETTINGS.model_dump() | {"halting": {"max_steps": SEGMENTS}})
    small_run.write_checkpoint(folder, sudoku, settings, steps=60)
    model = load_model(folder).model
    # Three puzzles that differ in when they would halt and in how they end.
    torch.manual_seed(0)
    torch.nn.init.normal_(model.q_head.weight)
    return model


def traced(model: HRM, dataset: Dataset, out: Path, batch_size: int = 5, copies: int = 4) -> Trace:
    made = symmetric_copies(dataset, copies=copies, max_puzzles=None, seed=0)
    small_run.predict(model, made, out, batch_size=batch_size)
    trace = open_trace(out, dataset.puzzle.canvas)
    assert trace is not None
    return trace


def test_keeps_the_answer_after_each_segment(model: HRM, sudoku: Dataset, tmp_path: Path) -> None:
    trace = traced(model, sudoku, tmp_path / "out")
    assert (trace.segments, trace.count, trace.examples.tolist()) == (SEGMENTS, 3, [0, 1, 2])
    batch = symmetric_copies(sudoku, copies=1, max_puzzles=None, seed=0).batch(slice(None))
    right = []
    for steps in range(1, SEGMENTS + 1):
        then = solve(model, torch.from_numpy(batch.inputs), torch.from_numpy(batch.puzzle_ids), steps=steps)
        tokens = then.tokens_BL.numpy().astype(np.uint8)
        answers = sudoku.puzzle.decode(tokens)
        for place in range(3):
            assert (trace.of(place).grid(steps - 1) == answers.grid(place)).all()
        assert np.allclose(trace.q_halt[:, steps - 1], then.q_halt_B.numpy(), atol=1e-4)
        right.append(((tokens == batch.labels) | (batch.labels == IGNORED)).all(axis=1).sum())
    assert trace.right.tolist() == right
    # Its end is the prediction.
    kept = open_predictions(tmp_path / "out", sudoku)
    originals = kept.where(kept.copies == 0)
    assert trace.right[-1] == trace.stops_right.sum() == originals.exact.sum()
    for place in range(3):
        assert (trace.of(place).grid(SEGMENTS - 1) == originals.answers.unpack(slice(None)).grid(place)).all()
    assert np.allclose(trace.q_halt[:, -1], originals.q_halt, atol=1e-5)


def test_says_where_the_model_would_halt(model: HRM, sudoku: Dataset, tmp_path: Path) -> None:
    trace = traced(model, sudoku, tmp_path / "out")
    batch = symmetric_copies(sudoku, copies=1, max_puzzles=None, seed=0).batch(slice(None))
    seen: list[list[bool]] = []
    solve(
        model,
        torch.from_numpy(batch.inputs),
        torch.from_numpy(batch.puzzle_ids),
        on_segment=lambda then: seen.append((then.q_halt_B > then.q_continue_B).tolist()),
    )
    expected = [next((step for step, prefers in enumerate(seen, 1) if prefers[place]), SEGMENTS) for place in range(3)]
    assert trace.stops.tolist() == expected
    assert (trace.stops_right + trace.stops_wrong).tolist() == np.bincount(expected, minlength=SEGMENTS + 1)[
        1:
    ].tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_change_nothing(model: HRM, sudoku: Dataset, tmp_path: Path, batch_size: int) -> None:
    whole, cut = traced(model, sudoku, tmp_path / "whole"), traced(model, sudoku, tmp_path / "cut", batch_size)
    for name in ("right", "stops_right", "stops_wrong", "examples", "stops"):
        assert (getattr(whole, name) == getattr(cut, name)).all(), name
    assert (whole.answers.cells == cut.answers.cells).all()


def test_a_few_of_either_sort_are_kept_and_all_counted(
    model: HRM, sudoku: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "TRACED", 1)
    trace = traced(model, sudoku, tmp_path / "out", batch_size=2)
    wrong = 3 - trace.right[-1]
    assert trace.count == 3
    assert len(trace.examples) == min(1, trace.right[-1]) + min(1, wrong) < 3


def test_there_may_be_none_but_not_half_of_one(model: HRM, sudoku: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    traced(model, sudoku, out)
    file = out / "trace.npz"
    whole = file.read_bytes()
    for part in (whole[: len(whole) // 2], b"", b"\x93NUMPY"):
        file.write_bytes(part)
        with pytest.raises(UserError, match=r"trace.npz: damaged .*run the evaluate stage again"):
            open_trace(out, sudoku.puzzle.canvas)
    with np.load(out / "part-00000.npz", allow_pickle=False) as other:
        np.savez(file, **other)
    with pytest.raises(UserError, match="damaged"):
        open_trace(out, sudoku.puzzle.canvas)
    file.unlink()
    assert open_trace(out, sudoku.puzzle.canvas) is None
