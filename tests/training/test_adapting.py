"""Learning new tasks: of a trained model only what is asked for changes, and the trained one stays as it is."""

from pathlib import Path

import pytest
import small_run
import torch

from hrm.config import AdaptSettings, HaltingSettings, ModelSettings, TrainSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.training import adapt
from hrm.training.adapt import TABLE, check_adaptable, learn
from hrm.training.card import LoadedModel, load_model

TRAIN = TrainSettings(
    model=ModelSettings(hidden=32, heads=2, H_layers=1, L_layers=1),
    halting=HaltingSettings(max_steps=2),
    ema=0.9,
    precision="float32",
)
FEW = AdaptSettings(steps=8, batch_size=8, puzzle_lr=0.1)
CPU = torch.device("cpu")
Weights = dict[str, torch.Tensor]


@pytest.fixture
def loaded(arc: Dataset, tmp_path: Path) -> LoadedModel:
    """A model trained on fewer tasks than there are now, with rows that differ."""
    folder = small_run.write_checkpoint(tmp_path, arc, TRAIN, steps=0)
    found = load_model(folder.parent)
    rows = torch.arange(4 * 32, dtype=torch.float32).reshape(4, 32) / 100
    found.model.puzzle_embedding.table = rows.clone()
    return found


def weights(model: torch.nn.Module) -> Weights:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: Weights, after: Weights) -> set[str]:
    return {name for name in before if name != TABLE and not torch.equal(before[name], after[name])}


def test_embeddings_alone_are_learned(arc: Dataset, loaded: LoadedModel) -> None:
    before = weights(loaded.model)
    learned = learn(loaded, arc, FEW, CPU)
    after = weights(learned.model)
    assert not changed(before, after)
    assert not changed(before, weights(loaded.model))
    assert torch.equal(before[TABLE], loaded.model.state_dict()[TABLE])
    mean = before[TABLE][1:].mean(0)
    assert after[TABLE].shape == (arc.num_puzzle_ids, 32)
    assert torch.equal(after[TABLE][0], before[TABLE][0])
    assert not torch.isclose(after[TABLE][1:], mean).all(-1).all()
    assert not learned.model.training


def test_weights_are_learned_where_asked(arc: Dataset, loaded: LoadedModel) -> None:
    before = weights(loaded.model)
    after = weights(learn(loaded, arc, FEW.model_copy(update={"weights": True, "lr": 1e-3}), CPU).model)
    assert changed(before, after) == set(dict(loaded.model.named_parameters()))
    assert not changed(before, weights(loaded.model))


def test_without_a_step_every_task_has_the_mean_of_the_trained_ones(arc: Dataset, loaded: LoadedModel) -> None:
    learned = learn(loaded, arc, FEW.model_copy(update={"steps": 0}), CPU)
    assert learned.curve == []
    table = learned.model.state_dict()[TABLE]
    assert torch.equal(table[1:], loaded.model.state_dict()[TABLE][1:].mean(0).expand(arc.num_puzzle_ids - 1, -1))


def test_the_same_seed_learns_the_same(arc: Dataset, loaded: LoadedModel) -> None:
    one, same = (learn(loaded, arc, FEW, CPU) for _ in range(2))
    other = learn(loaded, arc, FEW.model_copy(update={"seed": 1}), CPU)
    tables = [learned.model.state_dict()[TABLE] for learned in (one, same, other)]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])
    assert one.curve == same.curve


def test_the_demonstrations_are_learned(arc: Dataset, loaded: LoadedModel) -> None:
    curve = learn(loaded, arc, AdaptSettings(steps=60, batch_size=16, puzzle_lr=0.05), CPU).curve
    assert [entry["step"] for entry in curve] == list(range(6, 66, 6))
    assert curve[-1]["token_loss"] < curve[0]["token_loss"]


def test_what_is_not_finite_is_told(arc: Dataset, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(*arguments: object) -> Weights:
        return {name: x * torch.nan if name == TABLE else x for name, x in started(*arguments).items()}

    started = adapt.started
    monkeypatch.setattr(adapt, "started", spoiled)
    with pytest.raises(UserError, match=r"not finite at step 1; lower adapt\.puzzle_lr"):
        learn(loaded, arc, FEW, CPU)


def test_a_model_without_embeddings_has_but_its_weights(arc: Dataset, tmp_path: Path) -> None:
    bare = TRAIN.model_copy(update={"model": TRAIN.model.model_copy(update={"puzzle_embedding": 0})})
    small_run.write_checkpoint(tmp_path, arc, bare, steps=0)
    loaded = load_model(tmp_path)
    with pytest.raises(UserError, match=r"no puzzle embedding.*adapt\.weights"):
        check_adaptable(loaded, FEW)
    with_weights = FEW.model_copy(update={"weights": True})
    check_adaptable(loaded, with_weights)
    assert changed(weights(loaded.model), weights(learn(loaded, arc, with_weights, CPU).model))
