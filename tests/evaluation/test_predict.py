"""Predictions of a real small model: what is kept, that batches do not matter, and what the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch

from hrm.data.batch import IGNORED
from hrm.data.copies import Copies, symmetric_copies
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.evaluation import parts as parts_module
from hrm.evaluation import predictions as predictions_module
from hrm.evaluation.predictions import COLUMNS, Predictions, open_predictions
from hrm.model import HRM, solve
from hrm.training.card import load_model


@pytest.fixture(scope="module")
def model(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> HRM:
    folder = tmp_path_factory.mktemp("model")
    small_run.write_checkpoint(folder, sudoku, small_run.SETTINGS, steps=30)
    return load_model(folder).model


@pytest.fixture(scope="module")
def copies(sudoku: Dataset) -> Copies:
    return symmetric_copies(sudoku, copies=4, max_puzzles=None, seed=0)


def written(model: HRM, copies: Copies, out: Path, batch_size: int = 5) -> Predictions:
    small_run.predict(model, copies, out, batch_size=batch_size)
    return open_predictions(out, copies.dataset)


def test_keeps_what_the_model_answers(model: HRM, copies: Copies, tmp_path: Path) -> None:
    kept = written(model, copies, tmp_path / "predictions")
    batch = copies.batch(slice(None))
    solution = solve(model, torch.from_numpy(batch.inputs), torch.from_numpy(batch.puzzle_ids))
    tokens = solution.tokens_BL.numpy()
    decoded = copies.dataset.puzzle.decode(tokens.astype(np.uint8))

    assert (kept.answers.unpack(slice(None)).cells == decoded.cells).all()
    assert (kept.answers.shapes == decoded.shapes).all()
    assert np.allclose(kept.q_halt, solution.q_halt_B.numpy(), atol=1e-5)
    assert (kept.steps == 2).all()
    labelled = batch.labels != IGNORED
    assert (kept.labelled_tokens == labelled.sum(axis=1)).all()
    assert (kept.correct_tokens == ((tokens == batch.labels) & labelled).sum(axis=1)).all()
    assert (kept.exact == ((tokens == batch.labels) | ~labelled).all(axis=1)).all()
    assert 0 < kept.correct_tokens.sum() < kept.labelled_tokens.sum()
    assert kept.examples.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert kept.copies.tolist() == [0, 1, 2, 3] * 3
    assert (kept.symmetries == copies.symmetries_MK).all()
    assert kept.about["checkpoint_step"] == 30


def test_pads_and_cells_outside_the_answer_count_nothing(arc: Dataset, tmp_path: Path) -> None:
    small_run.write_checkpoint(tmp_path, arc, small_run.SETTINGS, steps=1)
    copies = symmetric_copies(arc, copies=None, max_puzzles=None, seed=0)
    kept = written(load_model(tmp_path).model, copies, tmp_path / "predictions")
    # A grid of 3 x 2 on a canvas of 4 x 4: its cells, the end tokens below and to the right, and no more.
    assert (kept.labelled_tokens == 6 + 2 + 3).all()
    assert kept.puzzle_ids.tolist() == copies.puzzle_ids_M.tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_and_parts_change_nothing(
    model: HRM, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    whole = written(model, copies, tmp_path / "whole")
    for module in (parts_module, predictions_module):
        monkeypatch.setattr(module, "PART", 4)
    cut = written(model, copies, tmp_path / "cut", batch_size)
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        f"part-0000{part}.npz" for part in range(3)
    ] + ["predictions.json", "trace.npz"]
    for name in set(COLUMNS) - {"q_halt"}:
        assert (getattr(cut, name) == getattr(whole, name)).all(), name
    assert np.allclose(cut.q_halt, whole.q_halt, atol=1e-5)
    assert (cut.answers.cells == whole.answers.cells).all()


def test_some_copies_only(model: HRM, copies: Copies, tmp_path: Path) -> None:
    kept = written(model, copies, tmp_path / "predictions")
    odd = kept.where(kept.copies % 2 == 1)
    assert odd.copies.tolist() == [1, 3] * 3
    assert (odd.answers.unpack(slice(None)).cells == kept.answers.unpack(slice(None)).cells[1::2]).all()


def test_a_stop_leaves_the_old_predictions(
    model: HRM, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "predictions"
    before = written(model, copies, out)
    monkeypatch.setattr(parts_module, "PART", 4)

    class StopError(Exception):
        pass

    def stop(folder: Path, number: int, part: Predictions) -> None:
        if number == 1:
            raise StopError
        predictions_module.write_part(folder, number, part)

    monkeypatch.setattr(parts_module, "write_part", stop)
    with pytest.raises(StopError):
        small_run.predict(model, copies, out, batch_size=4)
    assert (open_predictions(out, copies.dataset).answers.cells == before.answers.cells).all()
    assert [path.name for path in tmp_path.iterdir()] == ["predictions"]


def refused(path: Path, dataset: Dataset) -> str:
    with pytest.raises(UserError) as error:
        open_predictions(path, dataset)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def test_refuses_what_is_not_its_own(model: HRM, copies: Copies, sudoku: Dataset, arc: Dataset, tmp_path: Path) -> None:
    assert "no predictions" in refused(tmp_path, sudoku)
    out = tmp_path / "predictions"
    written(model, copies, out)
    assert "another dataset" in refused(out, arc)

    part, about = out / "part-00000.npz", out / "predictions.json"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(out, sudoku)
    part.unlink()
    assert "damaged" in refused(out, sudoku)
    part.write_bytes(whole)
    header = json.loads(about.read_text())
    about.write_text(json.dumps(header | {"count": 13}))
    assert "12 predictions of 13" in refused(out, sudoku)
    about.write_text(json.dumps(header | {"format": 1}))
    assert "format 1, expected 2" in refused(out, sudoku)
    about.write_text("[]")
    assert "format None" in refused(out, sudoku)
    about.write_text("{")
    assert "not valid JSON" in refused(out, sudoku)
