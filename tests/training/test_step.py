"""One step: compiled or not, and what it does when an error comes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from trainings import assert_close

from hrm.config import TrainSettings
from hrm.data.dataset import open_dataset
from hrm.data.loader import Position, TrainBatches
from hrm.stages.train import train
from hrm.tracking.curves import read_curves
from hrm.training import step as step_module
from hrm.training.distributed import Processes
from hrm.training.speed import step_flops
from hrm.training.state import TrainState, fresh_state
from hrm.training.step import Step

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty cache of compiled code."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    yield
    torch.compiler.reset()


def begun(settings: TrainSettings, dataset: Path) -> tuple[TrainState, TrainBatches, Step]:
    data = open_dataset(dataset)
    batches = TrainBatches(data, batch_size=settings.batch_size, seed=settings.seed)
    return fresh_state(settings, data, ALONE), batches, Step(settings, 25, ALONE)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_follows_the_same_trajectory(
    settings: TrainSettings, dataset: Path, tmp_path: Path, compiling: None
) -> None:
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"H_cycles": 1, "L_cycles": 1})})
    train(settings, dataset, tmp_path / "eager", "tiny")
    train(settings.model_copy(update={"compile": True}), dataset, tmp_path / "compiled", "tiny")
    eager, compiled = (read_curves(tmp_path / name / "curves.csv") for name in ("eager", "compiled"))
    for number, row in eager.items():
        assert compiled[number] == pytest.approx(row, rel=1e-3, abs=1e-5), number
    assert_close(tmp_path / "eager", tmp_path / "compiled")


def test_without_a_compiler_it_warns_once_and_goes_on(
    settings: TrainSettings,
    dataset: Path,
    tmp_path: Path,
    compiling: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As on a machine that has none: the result is that of `compile: false`."""
    train(settings, dataset, tmp_path / "eager", "tiny")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "no-such-compiler"))
    with caplog.at_level("WARNING", logger="hrm"):
        train(settings.model_copy(update={"compile": True}), dataset, tmp_path / "run", "tiny")
    (warning,) = [record.message for record in caplog.records if "torch.compile" in record.message]
    assert "does not work here" in warning
    assert "\n" not in warning
    assert (tmp_path / "eager/curves.csv").read_text() == (tmp_path / "run/curves.csv").read_text()


def test_other_errors_are_not_taken_for_the_compilers(
    settings: TrainSettings, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, batches, take_step = begun(settings, dataset)

    def failing(*_):
        raise RuntimeError("out of memory")

    take_step._run_segment = failing
    batch, after = batches.batch(Position())
    with pytest.raises(RuntimeError, match="out of memory"):
        take_step(state, batch, after)
    assert (state.step, state.position, state.whole) == (0, Position(), True), "as it was"


def test_an_error_within_the_update_is_remembered(
    settings: TrainSettings, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be saved then belongs to no step."""
    state, batches, take_step = begun(settings, dataset)
    monkeypatch.setattr(step_module.Step, "_update", lambda *_: 1 / 0)
    batch, after = batches.batch(Position())
    with pytest.raises(ZeroDivisionError):
        take_step(state, batch, after)
    assert not state.whole


@pytest.mark.parametrize("target", ["next_segment", "none"])
@pytest.mark.parametrize("cycles", [0, 1, 2])
def test_flops_are_those_that_torch_counts(target: str, cycles: int, settings: TrainSettings, dataset: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    settings = settings.model_copy(
        update={
            "halting": settings.halting.model_copy(update={"continue_target": target}),
            "model": settings.model.model_copy(update={"gradient_cycles": cycles, "hidden": 64}),
        }
    )
    state, batches, take_step = begun(settings, dataset)
    batch, after = batches.batch(Position())
    with FlopCounterMode(display=False) as counter:
        take_step(state, batch, after)
    data = open_dataset(dataset)
    ours = step_flops(settings, data.seq_len, data.vocab_size) * settings.batch_size
    # Torch counts the Q head too, and leaves out gradients that nobody needs and the tail of the look ahead.
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.15)
