"""However many processes and rows there are, and wherever it was stopped: an evaluation says the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from safetensors.torch import load_file

from hrm.artifacts import digest
from hrm.config import EvaluateSettings, TrainSettings, VoteSettings
from hrm.data.dataset import Dataset
from hrm.evaluation import evaluation as evaluation_module
from hrm.evaluation.predictions import COLUMNS, Predictions, open_predictions
from hrm.evaluation.trace import open_trace
from hrm.stages.evaluate import evaluate
from hrm.stages.vote import vote

SEGMENTS = 5
HALT = EvaluateSettings(copies=90, starts=2, noise=1.0, steps="halt", max_steps=SEGMENTS, batch_size=64, processes=1)
"""540 predictions of three puzzles."""

EVALUATE = """
import sys
from pathlib import Path
from hrm.config import EvaluateSettings
from hrm.stages.evaluate import evaluate
evaluate(EvaluateSettings.model_validate_json(sys.argv[1]), *map(Path, sys.argv[2:]))
"""
SLOWLY = """
import time
from hrm.evaluation import evaluation
quick = evaluation.predict_piece
evaluation.predict_piece = lambda *given: time.sleep(0.3) or quick(*given)
"""


def arguments(dataset: Dataset, checkpoints: Path, run: Path) -> list[str]:
    """Of the script above."""
    return [HALT.model_dump_json(), str(dataset.path), str(checkpoints), str(run)]


@pytest.fixture(scope="module")
def checkpoints(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    settings = TrainSettings.model_validate(small_run.SETTINGS.model_dump() | {"halting": {"max_steps": SEGMENTS}})
    written = small_run.write_checkpoint(folder, sudoku, settings, steps=40)
    weights = load_file(written / "model.safetensors")
    torch.nn.init.normal_(weights["q_head.weight"], generator=torch.Generator().manual_seed(0))
    small_run.write_weights(written, weights)
    return folder


def files(run: Path) -> dict[str, str]:
    """Digests of all that an evaluation leaves, but for the record of its settings."""
    return {
        path.relative_to(run).as_posix(): digest(path)
        for path in run.rglob("*")
        if path.is_file() and path.name != "evaluate.provenance.json"
    }


@pytest.fixture(scope="module")
def whole(sudoku: Dataset, checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder of one process that nobody disturbed."""
    run = tmp_path_factory.mktemp("whole")
    evaluate(HALT, sudoku.path, checkpoints, run)
    return run


def test_puzzles_halt_at_different_times(sudoku: Dataset, whole: Path) -> None:
    """Else what follows would say little."""
    kept = open_predictions(whole / "predictions", sudoku)
    assert len(kept) == 540
    assert set(kept.steps.tolist()) == set(range(1, SEGMENTS + 1))
    assert 0 < kept.correct_tokens.sum() < kept.labelled_tokens.sum()


def test_the_work_for_single_answers_ends_where_puzzles_halt(sudoku: Dataset, whole: Path, tmp_path: Path) -> None:
    """The report's line of single answers is drawn over segments that were run, as the votes are."""
    kept, trace = (
        open_predictions(whole / "predictions", sudoku),
        open_trace(whole / "predictions", sudoku.puzzle.canvas),
    )
    assert trace is not None
    steps = kept.steps[kept.original]
    assert steps.min() < SEGMENTS
    expected = [np.minimum(steps, limit).mean() for limit in range(1, SEGMENTS + 1)]
    assert trace.work(halted=True).tolist() == pytest.approx(expected)
    assert trace.work(halted=False).tolist() == [1, 2, 3, 4, 5]
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    vote(VoteSettings(), sudoku.path, run, "small")
    assert "up to 5 segments" in (run / "report.html").read_text()


def test_four_processes_change_no_bit(
    sudoku: Dataset, checkpoints: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # each computes as the one does
    evaluate(HALT.model_copy(update={"processes": 4}), sudoku.path, checkpoints, tmp_path / "run")
    assert files(tmp_path / "run") == files(whole)


def test_two_processes_of_torchrun_change_no_bit(
    sudoku: Dataset, checkpoints: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text(EVALUATE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    given = [str(tmp_path / "work.py"), *arguments(sudoku, checkpoints, tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run([*torchrun, *given], env=environment, check=True)
    assert files(tmp_path / "run") == files(whole)


def test_whoever_is_done_waits_for_the_others_however_long(
    sudoku: Dataset, checkpoints: Path, whole: Path, tmp_path: Path
) -> None:
    """Longer than in training, where all take the same steps."""
    late = """
import os, time
from datetime import timedelta
from hrm.evaluation import evaluation
from hrm.training import distributed
distributed.PATIENCE = timedelta(seconds=2)
quick = evaluation.predict_piece
if os.environ["RANK"] == "1":
    evaluation.predict_piece = lambda *given: time.sleep(2.5) or quick(*given)
"""
    (tmp_path / "work.py").write_text(late + EVALUATE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    given = [str(tmp_path / "work.py"), *arguments(sudoku, checkpoints, tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run([*torchrun, *given], env=environment, check=True)
    assert files(tmp_path / "run") == files(whole)


@pytest.mark.parametrize("steps", ["max", "halt"])
def test_batches_change_no_answer(sudoku: Dataset, checkpoints: Path, tmp_path: Path, steps: str) -> None:
    found: list[Predictions] = []
    scores: list[str] = []
    for batch_size in (7, 64, 500):
        settings = HALT.model_copy(update={"batch_size": batch_size, "steps": steps})
        evaluate(settings, sudoku.path, checkpoints, tmp_path / str(batch_size))
        found.append(open_predictions(tmp_path / str(batch_size) / "predictions", sudoku))
        scores.append((tmp_path / str(batch_size) / "evaluate.json").read_text())
    assert scores[0] == scores[1] == scores[2]
    for other in found[1:]:
        assert (other.answers.cells == found[0].answers.cells).all()
        for name in set(COLUMNS) - {"q_halt"}:
            assert np.array_equal(getattr(other, name), getattr(found[0], name)), name
        assert np.allclose(other.q_halt, found[0].q_halt, atol=1e-4)


def pieces(run: Path) -> list[Path]:
    return sorted((run / evaluation_module.WORKING).glob("*.npz"))


def test_killed_in_the_middle_it_goes_on(sudoku: Dataset, checkpoints: Path, whole: Path, tmp_path: Path) -> None:
    """A real process, and SIGKILL."""
    run = tmp_path / "run"
    code = [sys.executable, "-c", SLOWLY + EVALUATE, *arguments(sudoku, checkpoints, run)]
    process = subprocess.Popen(code, env=os.environ)
    until = time.monotonic() + 60
    while not pieces(run):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (run / "predictions").exists()
    finished = {path: path.stat().st_mtime_ns for path in pieces(run)}

    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        quick = evaluation_module.predict_piece
        patch.setattr(
            evaluation_module,
            "predict_piece",
            lambda *given: seen.append(given[2]) or quick(*given),  # type: ignore[func-returns-value]
        )
        evaluate(HALT, sudoku.path, checkpoints, run)
    assert len(seen) + len(finished) == 4, "a quarter of the predictions each"
    assert files(run) == files(whole)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"noise": 0.5}, {"steps": "max"}, {"max_puzzles": 2}, {"batch_size": 9}]
)
def test_other_settings_begin_anew(
    sudoku: Dataset, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    small = HALT.model_copy(update={"copies": 9, "batch_size": 8})
    run, whole_run = tmp_path / "run", tmp_path / "whole"
    stop_after(1, monkeypatch)
    with pytest.raises(InterruptedError):
        evaluate(small, sudoku.path, checkpoints, run)
    assert len(pieces(run)) == 1
    monkeypatch.undo()
    evaluate(small.model_copy(update=change), sudoku.path, checkpoints, run)
    evaluate(small.model_copy(update=change), sudoku.path, checkpoints, whole_run)
    assert files(run) == files(whole_run)


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, done = evaluation_module.predict_piece, iter(range(count))

    def stopping(*given: object) -> object:
        if next(done, None) is None:
            raise InterruptedError
        return quick(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation_module, "predict_piece", stopping)


def begun(sudoku: Dataset, checkpoints: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> EvaluateSettings:
    """Settings of an evaluation that was stopped after its first piece."""
    small = HALT.model_copy(update={"copies": 9, "batch_size": 8})
    stop_after(1, monkeypatch)
    with pytest.raises(InterruptedError):
        evaluate(small, sudoku.path, checkpoints, run)
    monkeypatch.undo()
    return small


def test_other_weights_begin_anew(
    sudoku: Dataset, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = begun(sudoku, checkpoints, tmp_path / "run", monkeypatch)
    small_run.write_checkpoint(tmp_path / "others", sudoku, small_run.SETTINGS, steps=40)
    for run in ("run", "whole"):
        evaluate(small, sudoku.path, tmp_path / "others", tmp_path / run)
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_the_same_weights_in_another_model_begin_anew(
    sudoku: Dataset, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a file that was imported again with other settings: cycles are in the card alone."""
    small = begun(sudoku, checkpoints, tmp_path / "run", monkeypatch)
    shutil.copytree(checkpoints, tmp_path / "others")
    card = tmp_path / "others/step-00000040/model.json"
    content = json.loads(card.read_text())
    content["train"]["model"]["H_cycles"] += 1
    card.write_text(json.dumps(content))
    for run in ("run", "whole"):
        evaluate(small, sudoku.path, tmp_path / "others", tmp_path / run)
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_a_log_tells_how_far_it_is(
    sudoku: Dataset,
    checkpoints: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(evaluation_module, "SILENCE", 0.0)
    small = HALT.model_copy(update={"copies": 4, "batch_size": 8})
    with caplog.at_level("INFO", logger="hrm"):
        evaluate(small, sudoku.path, checkpoints, tmp_path)
    assert [line for line in caplog.messages if "left" in line] == [
        f"evaluate: {done} of 3 pieces, 0 min left" for done in (1, 2)
    ]


def test_the_record_says_what_was_evaluated(sudoku: Dataset, checkpoints: Path, whole: Path) -> None:
    record = json.loads((whole / "evaluate.provenance.json").read_text())
    assert record["inputs"] == {"dataset": sudoku.digest, "checkpoint": digest(checkpoints / "step-00000040")}
    assert not (whole / evaluation_module.WORKING).exists()
