"""Checkpoints of the release become runs, and runs become checkpoints of the release."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_run
import torch
from safetensors.torch import save_file
from torch import Tensor

from hrm.artifacts import digest
from hrm.config import BuildSettings, EvaluateSettings, Experiment, RegisterSettings, TrainSettings, VoteSettings
from hrm.data.dataset import Dataset
from hrm.errors import UserError
from hrm.model import solve
from hrm.model.published import to_published
from hrm.puzzles import Arc, Maze, Puzzle
from hrm.stages.checkpoint import export_checkpoint, import_checkpoint
from hrm.stages.evaluate import evaluate
from hrm.stages.register import register
from hrm.stages.vote import vote
from hrm.tracking.server import connect
from hrm.training.card import card_of, load_model, read_card
from hrm.training.workspace import Workspace

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hrm_reference"
COMPILED = "_orig_mod."
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def trained(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a small model that knows its training puzzles."""
    checkpoints = tmp_path_factory.mktemp("trained") / "checkpoints"
    small_run.write_checkpoint(checkpoints, sudoku, small_run.SETTINGS, steps=100)
    return checkpoints


@pytest.fixture
def exported(trained: Path, tmp_path: Path) -> Path:
    export_checkpoint(trained, tmp_path / "step_100")
    return tmp_path / "step_100"


def recipe(puzzle: Puzzle, settings: TrainSettings = small_run.SETTINGS) -> Experiment:
    return Experiment(
        name="small",
        sources={},
        build=BuildSettings(puzzle=puzzle, sources=["small"]),
        train=settings,
        register=RegisterSettings(description="A small one."),
    )


def settings_with(model: dict[str, Any], **train: Any) -> TrainSettings:
    values = small_run.SETTINGS.model_dump()
    return TrainSettings.model_validate(values | {"model": values["model"] | model} | train)


def saved(state: Any, file: Path) -> Path:
    torch.save(state, file)
    return file


def published(checkpoints: Path) -> State:
    return to_published(load_model(checkpoints).model.state_dict())


def recorded(name: str) -> tuple[dict[str, np.ndarray], State, Experiment]:
    """A run of the release: its numbers, its last state dict, and what it is as a recipe of ours."""
    numbers = dict(np.load(FIXTURES / f"{name}.npz", allow_pickle=False))
    meta = json.loads(numbers.pop("meta").tobytes())
    config = meta["config"]
    model = {
        "hidden": config["hidden_size"],
        "heads": config["num_heads"],
        "H_layers": config["H_layers"],
        "L_layers": config["L_layers"],
        "H_cycles": config["H_cycles"],
        "L_cycles": config["L_cycles"],
        "positions": config["pos_encodings"],
        "puzzle_embedding": config["puzzle_emb_ndim"],
    }
    puzzle = {(16, 12): Arc(canvas_size=4), (25, 6): Maze(size=5)}[config["seq_len"], config["vocab_size"]]
    state = {
        key.removeprefix("final."): torch.from_numpy(value)
        for key, value in numbers.items()
        if key.startswith("final.")
    }
    numbers["last_step"] = np.array(meta["train_steps"] - 1)
    return numbers, state, recipe(puzzle, settings_with(model, halting={"max_steps": config["halt_max_steps"]}))


# -- import ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", COMPILED])
@pytest.mark.parametrize("name", ["rope_stablemax_ids", "learned_softmax_noids"])
def test_weights_of_the_release_answer_as_they_did_there(name: str, prefix: str, tmp_path: Path) -> None:
    numbers, state, experiment = recorded(name)
    file = saved({prefix + key: value for key, value in state.items()}, tmp_path / "checkpoint")
    import_checkpoint(file, experiment, tmp_path / "no dataset", tmp_path / "run", step=6)
    loaded = load_model(tmp_path / "run/checkpoints")
    keys = ("inputs", "puzzle_identifiers")
    inputs, ids = (torch.from_numpy(numbers[f"step{numbers['last_step']}.{key}"]) for key in keys)
    solution = solve(loaded.model, inputs, ids)
    np.testing.assert_array_equal(solution.tokens_BL.numpy(), numbers["eval.logits"].argmax(-1))
    np.testing.assert_allclose(solution.q_halt_B.numpy(), numbers["eval.q_halt_logits"], rtol=1e-4)

    export_checkpoint(tmp_path / "run/checkpoints", tmp_path / "again")
    again = torch.load(tmp_path / "again", weights_only=True)
    assert again.keys() == {COMPILED + key for key in state}
    for key, value in state.items():
        assert torch.equal(again[COMPILED + key], value)
        assert again[COMPILED + key].dtype == value.dtype


def test_an_import_says_where_it_came_from_and_claims_nothing_else(
    exported: Path, sudoku: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, run, step=100)
    assert sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()) == [
        "checkpoints/step-00000100/model.json",
        "checkpoints/step-00000100/model.safetensors",
        "train.json",
        "train.provenance.json",
    ]
    card = read_card(run / "checkpoints/step-00000100/model.json")
    assert (card.imported, card.dataset_digest, card.step) == (digest(exported), None, 100)
    record = json.loads((run / "train.provenance.json").read_text())
    assert record["stage"] == "import"
    assert record["inputs"] == {"weights": digest(exported)}
    assert record["source"] == {"file": "step_100", "recipe": "small"}
    assert record["settings"].keys() == {"model", "halting", "precision"}
    assert json.loads((run / "train.json").read_text()).keys() == {"parameters"}


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "old format", "safetensors"])
def test_other_ways_to_save_the_same(kind: str, exported: Path, sudoku: Dataset, tmp_path: Path) -> None:
    state = torch.load(exported, weights_only=True)
    file = tmp_path / "other"
    match kind:
        case "old format":
            torch.save(state, file, _use_new_zipfile_serialization=False)
        case "safetensors":
            save_file(state, file := tmp_path / "other.safetensors")
        case _:
            state = {name: tensor.to(getattr(torch, kind)) for name, tensor in state.items()}
            torch.save(state, file)
    import_checkpoint(file, recipe(sudoku.puzzle), sudoku.path, tmp_path / "run")
    found = published(tmp_path / "run/checkpoints")
    assert all(tensor.dtype == torch.float32 for tensor in found.values())
    assert all(torch.equal(found[name.removeprefix(COMPILED)], tensor.float()) for name, tensor in state.items())


def test_the_number_of_puzzle_ids_is_that_of_the_file(tmp_path: Path) -> None:
    _, state, experiment = recorded("rope_stablemax_ids")
    state["model.inner.puzzle_emb.weights"] = torch.ones(77, 32)
    import_checkpoint(saved(state, tmp_path / "file"), experiment, tmp_path / "none", tmp_path / "run")
    assert load_model(tmp_path / "run/checkpoints").card.num_puzzle_ids == 77


def test_puzzle_ids_must_be_as_many_as_the_dataset_has(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    arc = small_run.arc_dataset(tmp_path_factory.mktemp("arc"))
    _, state, experiment = recorded("rope_stablemax_ids")
    with pytest.raises(
        UserError, match=rf"^[^\n]*num_puzzle_ids is 5, but {arc.path} has {arc.num_puzzle_ids};[^\n]*$"
    ):
        import_checkpoint(saved(state, tmp_path / "file"), experiment, arc.path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    state["model.inner.puzzle_emb.weights"] = torch.ones(arc.num_puzzle_ids, 32)
    import_checkpoint(saved(state, tmp_path / "file"), experiment, arc.path, tmp_path / "run")
    caplog.clear()
    evaluate(EvaluateSettings(max_puzzles=1), arc.path, tmp_path / "run/checkpoints", tmp_path / "run")
    assert "trained elsewhere; its scores hold only if" in caplog.text


def test_without_puzzle_vectors_the_number_of_ids_does_not_matter(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    arc = small_run.arc_dataset(tmp_path_factory.mktemp("arc"))
    _, state, experiment = recorded("rope_stablemax_ids")
    del state["model.inner.puzzle_emb.weights"]
    bare = recipe(experiment.build.puzzle, settings_with(experiment.train.model.model_dump() | {"puzzle_embedding": 0}))
    import_checkpoint(saved(state, tmp_path / "file"), bare, arc.path, tmp_path / "run")
    evaluate(EvaluateSettings(max_puzzles=1), arc.path, tmp_path / "run/checkpoints", tmp_path / "run")


def with_missing(state: State) -> None:
    del state[f"{COMPILED}model.inner.L_init"]


def with_unknown(state: State) -> None:
    state["model.inner.lm_head.bias"] = torch.zeros(6)


def with_another_shape(state: State) -> None:
    state[f"{COMPILED}model.inner.lm_head.weight"] = torch.zeros(7, 32)


def with_a_deeper_model(state: State) -> None:
    name = "model.inner.H_level.layers.{}.self_attn.o_proj.weight"
    state[name.format(1)] = state[COMPILED + name.format(0)]


def with_a_puzzle_table(state: State) -> None:
    state["model.inner.puzzle_emb.weights"] = torch.zeros(1, 32)


def with_a_scalar_table(state: State) -> None:
    state["model.inner.puzzle_emb.weights"] = torch.tensor(1.0)


def with_one_twice(state: State) -> None:
    state["model.inner.H_init"] = torch.zeros(32)


def with_not_a_number(state: State) -> None:
    state[f"{COMPILED}model.inner.q_head.bias"][0] = torch.nan


def with_integers(state: State) -> None:
    state[f"{COMPILED}model.inner.H_init"] = torch.zeros(32, dtype=torch.int64)


def with_an_optimizer(state: dict[Any, Any]) -> None:
    state["optimizer"] = {"lr": 1.0}


def with_a_number_for_a_name(state: dict[Any, Any]) -> None:
    state[7] = torch.zeros(1)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (with_missing, "L_init is missing"),
        (with_unknown, "model.inner.lm_head.bias: the published HRM has no such tensor"),
        (with_another_shape, r"output_head.weight has shape \[7, 32\], the model \[6, 32\]"),
        (with_a_deeper_model, "H.blocks.1.attention.out.weight is not part of this model"),
        (with_a_puzzle_table, "puzzle_embedding.table is not part of this model"),
        (with_a_scalar_table, "puzzle_embedding.table is not part of this model"),
        (with_one_twice, "holds a tensor twice"),
        (with_not_a_number, "q_head.bias holds values that are not finite"),
        (with_integers, "H_init is of torch.int64"),
        (with_an_optimizer, "'optimizer' is not a tensor"),
        (with_a_number_for_a_name, "7 is not a tensor"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_one_line(
    spoil: Callable[[Any], None], part: str, exported: Path, sudoku: Dataset, tmp_path: Path
) -> None:
    state = torch.load(exported, weights_only=True)
    spoil(state)
    refused(saved(state, tmp_path / "spoiled"), part, sudoku, tmp_path)


def refused(file: Path, part: str, dataset: Dataset, folder: Path) -> None:
    with pytest.raises(UserError, match=rf"^{file}: [^\n]*{part}[^\n]*$"):
        import_checkpoint(file, recipe(dataset.puzzle), dataset.path, folder / "runs/small")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("length", [0, 10, 5000, -100])
def test_a_file_that_was_cut_off_is_one_line(length: int, exported: Path, sudoku: Dataset, tmp_path: Path) -> None:
    content = exported.read_bytes()[:length]
    for name in ("cut", "cut.safetensors"):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "cannot be read as", sudoku, tmp_path)


@pytest.mark.parametrize("content", [b"hello\n", b"\x80\x02.", pickle.dumps({"a": 1}), b"PK\x03\x04" + bytes(100)])
def test_another_file_is_one_line(content: bytes, sudoku: Dataset, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(content)
    refused(tmp_path / "other", "", sudoku, tmp_path)


def test_what_is_no_file_is_one_line(sudoku: Dataset, tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such file", sudoku, tmp_path)
    refused(saved([torch.zeros(1)], tmp_path / "list"), "holds no state dict", sudoku, tmp_path)
    refused(saved({}, tmp_path / "empty"), "holds no state dict", sudoku, tmp_path)


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(zipped: bool, exported: Path, sudoku: Dataset, tmp_path: Path) -> None:
    state = torch.load(exported, weights_only=True) | {"trap": Trap(tmp_path / "sprung")}
    file = tmp_path / "trap"
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    torch.load(file, weights_only=False)
    (tmp_path / "sprung").unlink()  # the trap works, where it is let
    refused(file, "cannot be read as a state dict of tensors alone", sudoku, tmp_path)
    file.rename(tmp_path / "trap.safetensors")
    refused(tmp_path / "trap.safetensors", "cannot be read as", sudoku, tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_negative_step_is_one_line(exported: Path, sudoku: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--step = -1: must not be negative$"):
        import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, tmp_path / "run", step=-1)


# -- what was there before, and what comes after -----------------------------------------------------------------------


def content(folder: Path) -> dict[str, tuple[str, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (digest(path), path.stat().st_mtime_ns) for path in files}


def test_the_same_file_again_changes_nothing(exported: Path, sudoku: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, run)
    evaluate(EvaluateSettings(), sudoku.path, run / "checkpoints", run)
    before = content(run)
    import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, run)
    assert content(run) == before


def test_another_run_is_kept(exported: Path, trained: Path, sudoku: Dataset, tmp_path: Path) -> None:
    refusal = r"another run, or a damaged one, is here; move it away"
    run = small_run.finished_run(tmp_path / "trained", sudoku)
    before = content(run)
    with pytest.raises(UserError, match=refusal):
        import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, run)
    assert content(run) == before

    run = tmp_path / "run"
    import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, run)
    before = content(run)
    other = torch.load(exported, weights_only=True)
    other[f"{COMPILED}model.inner.q_head.bias"][0] = 1
    file = saved(other, tmp_path / "other")
    deeper = recipe(sudoku.puzzle, settings_with({}, halting={"max_steps": 3}))
    for again, step, experiment in [
        (file, 0, recipe(sudoku.puzzle)),
        (exported, 7, recipe(sudoku.puzzle)),
        (exported, 0, deeper),
    ]:
        with pytest.raises(UserError, match=refusal):
            import_checkpoint(again, experiment, sudoku.path, run, step=step)
    assert content(run) == before


def test_a_training_sets_an_import_aside(exported: Path, sudoku: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, run, step=100)
    (run / "mlflow_run.json").write_text("{}")
    before, place, card = content(run), Workspace(run), card_of(small_run.SETTINGS, sudoku)
    assert not place.is_finished(card)
    place.set_aside_others(card)
    assert content(run / "aside-1") == before


def test_an_import_is_evaluated_and_registered_as_its_original(
    exported: Path, trained: Path, sudoku: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)
    experiment, run = recipe(sudoku.puzzle), tmp_path / "runs/small"
    import_checkpoint(exported, experiment, sudoku.path, run, step=100)
    for checkpoints, folder in ((trained, tmp_path / "original"), (run / "checkpoints", run)):
        evaluate(EvaluateSettings(copies=2), sudoku.path, checkpoints, folder)
        vote(VoteSettings(), sudoku.path, folder, "small")
    for name in ("evaluate.json", "vote.json"):
        assert (run / name).read_text() == (tmp_path / "original" / name).read_text()
    report = (run / "report.html").read_text()
    assert "Trained elsewhere; scored on 3 test puzzles, which that training may have seen" in report

    register(experiment.register_, sudoku.path, run, "small")
    client = connect()
    version = client.get_model_version_by_alias("small", "champion")
    assert version.description is not None
    assert f"imported, not trained here: from a file of SHA-256 `{digest(exported)}`" in version.description
    assert "learning rate" not in version.description
    mlflow_run = client.get_run(version.run_id)
    assert mlflow_run.data.params["model.hidden"] == "32"
    assert not any("optimizer" in name or "epochs" in name for name in mlflow_run.data.params)
    assert mlflow_run.data.tags["mlflow.source.name"] == "hrm checkpoint import --recipe small"
    used = mlflow_run.inputs.dataset_inputs
    assert {one.dataset.name: [tag.value for tag in one.tags] for one in used} == {
        "small": ["evaluation"],
        "small tests": ["evaluation"],
    }


# -- export ------------------------------------------------------------------------------------------------------------


def test_there_and_back_is_the_same_to_the_bit(exported: Path, trained: Path, sudoku: Dataset, tmp_path: Path) -> None:
    import_checkpoint(exported, recipe(sudoku.puzzle), sudoku.path, tmp_path / "run", step=100)
    before, after = published(trained), published(tmp_path / "run/checkpoints")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    weights = "step-00000100/model.safetensors"
    assert digest(trained / weights) == digest(tmp_path / "run/checkpoints" / weights)


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_initial_states_have_the_type_of_the_activations(precision: str, sudoku: Dataset, tmp_path: Path) -> None:
    """The release assigns what it reads: float32 states would give its flash-attention float32, which it has not."""
    settings = settings_with({}, precision=precision)
    small_run.write_checkpoint(tmp_path / "checkpoints", sudoku, settings, steps=0)
    export_checkpoint(tmp_path / "checkpoints", tmp_path / "out")
    given, kept = torch.load(tmp_path / "out", weights_only=True), published(tmp_path / "checkpoints")
    for name, tensor in kept.items():
        wanted = tensor.bfloat16() if name.endswith(("H_init", "L_init")) else tensor
        assert given[COMPILED + name].dtype == wanted.dtype
        assert torch.equal(given[COMPILED + name], wanted)


def test_a_compiled_model_loads_the_names(exported: Path) -> None:
    """As the release's `evaluate.py` does: first the names as they are, then without the prefix."""
    state = torch.load(exported, weights_only=True)

    class Released(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, tensor in state.items():
                *parents, last = name.removeprefix(COMPILED).split(".")
                module: torch.nn.Module = self
                for parent in parents:
                    if not hasattr(module, parent):
                        module.add_module(parent, torch.nn.Module())
                    module = getattr(module, parent)
                module.register_buffer(last, torch.zeros_like(tensor))

    torch.compile(Released()).load_state_dict(state, assign=True)
    Released().load_state_dict({name.removeprefix(COMPILED): value for name, value in state.items()}, assign=True)


def test_nothing_to_export_is_one_line(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint here"):
        export_checkpoint(tmp_path / "none", tmp_path / "out")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="a folder is in the place of a file"):
        export_checkpoint(trained, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
