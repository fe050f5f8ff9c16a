"""What is no longer a number stops the run, or is left out; no checkpoint ever holds it."""

import json
import re
from pathlib import Path

import pytest
import torch
from trainings import assert_equal

from hrm.config import TrainSettings
from hrm.data.dataset import open_dataset
from hrm.data.loader import Position, TrainBatches
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.training import loop
from hrm.training.card import load_model
from hrm.training.step import Step
from hrm.training.window import NotFiniteError, Window


def poison(monkeypatch: pytest.MonkeyPatch, begins: set[Position]) -> None:
    """Batches that begin there make the loss, and then every weight, not a number."""
    real = Step.__call__

    def poisoned(self, state, batch, position):
        if state.position in begins and state.position not in state.skipped:
            with torch.no_grad():
                state.model.output_head.weight.fill_(torch.nan)
        real(self, state, batch, position)

    monkeypatch.setattr(Step, "__call__", poisoned)


def position_of(step: int, settings: TrainSettings, dataset: Path) -> Position:
    """Where the batch of a step begins."""
    batches = TrainBatches(open_dataset(dataset), batch_size=settings.batch_size, seed=settings.seed)
    position = Position()
    for _ in range(step - 1):
        _, position = batches.draw(position)
    return position


def test_it_stops_with_one_line(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step, the rows and the last good checkpoint are named; a checkpoint due in between is not written."""
    settings = settings.model_copy(
        update={"checkpoints": settings.checkpoints.model_copy(update={"every_steps": 1, "keep": 30})}
    )
    run, bad = tmp_path / "run", position_of(14, settings, dataset)
    poison(monkeypatch, {bad})
    with pytest.raises(UserError) as refused:
        train(settings, dataset, run, "tiny")
    message = str(refused.value)
    assert re.search(r"not finite at step 14; .*not_finite\.json names the rows of its batch", message)
    assert "lower train.optimizer.lr, or set train.not_finite to skip" in message
    assert message.endswith("the last good checkpoint is " + str(run / "training/step-00000013"))
    assert max(path.name for path in run.glob("training/step-*")) == "step-00000013"
    assert load_model(run / "training").card.step == 13, "finite weights"
    report = json.loads((run / "not_finite.json").read_text())
    assert (report["step"], report["epoch"], report["group"]) == (14, *bad)
    batches = TrainBatches(open_dataset(dataset), batch_size=settings.batch_size, seed=settings.seed)
    assert report["examples"] == batches.draw(bad)[0].examples_B.tolist()
    assert not (run / "checkpoints").exists()


def test_a_learning_rate_far_too_high_is_noticed(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    optimizer = settings.optimizer.model_copy(update={"lr": 1e30})
    with pytest.raises(UserError, match=r"not finite at step \d+; .*there is no checkpoint before it"):
        train(settings.model_copy(update={"optimizer": optimizer}), dataset, tmp_path / "run", "tiny")
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize("steps", [{3}, {14, 19}])
def test_it_goes_back_and_leaves_the_batch_out(
    steps: set[int], settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the loader had never drawn it: from the last checkpoint, or from the start where there is none."""
    settings = settings.model_copy(update={"not_finite": "skip"})
    bad = {position_of(step, settings, dataset) for step in steps}
    poison(monkeypatch, bad)
    train(settings, dataset, tmp_path / "run", "tiny")
    assert json.loads((tmp_path / "run/train.json").read_text())["skipped_batches"] == len(bad)

    real = loop.fresh_state

    def without(*arguments):
        state = real(*arguments)
        state.skipped = sorted(bad)
        return state

    monkeypatch.setattr(loop, "fresh_state", without)
    train(settings, dataset, tmp_path / "without", "tiny")
    assert_equal(tmp_path / "without", tmp_path / "run")


def test_it_gives_up_when_it_happens_again_and_again(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"not_finite": "skip"})
    monkeypatch.setattr(loop, "MOST_SKIPPED", 1)
    poison(monkeypatch, {position_of(step, settings, dataset) for step in (5, 7)})
    with pytest.raises(UserError, match="not finite at step"):
        train(settings, dataset, tmp_path / "run", "tiny")


def test_every_process_agrees(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    optimizer = settings.optimizer.model_copy(update={"lr": 1e30})
    settings = settings.model_copy(update={"optimizer": optimizer, "processes": 2})
    with pytest.raises(UserError, match="not finite at step"):
        train(settings, dataset, tmp_path / "run", "tiny")


def test_its_advice_can_be_followed(
    settings: TrainSettings, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another `not_finite` is the same run: it goes on from the checkpoint that the line names."""
    poison(monkeypatch, {position_of(14, settings, dataset)})
    with pytest.raises(UserError, match=r"set train\.not_finite to skip"):
        train(settings, dataset, tmp_path / "run", "tiny")
    train(settings.model_copy(update={"not_finite": "skip"}), dataset, tmp_path / "run", "tiny")
    assert not (tmp_path / "run/aside-1").exists()
    assert json.loads((tmp_path / "run/train.json").read_text())["skipped_batches"] == 1


class Others:
    """The other process has seen a step that was not finite."""

    first, device = True, torch.device("cpu")

    def highest(self, values: list[int]) -> list[int]:
        return [max(values[0], -7)]


def test_a_step_that_is_not_finite_elsewhere_counts_here() -> None:
    window = Window(Others(), batch_size=4)  # type: ignore[arg-type]
    window.add(8, {"loss": torch.tensor(torch.nan)}, torch.tensor(1.0))
    with pytest.raises(NotFiniteError) as noticed:
        window.check()
    assert noticed.value.step == 7, "the first of all"
