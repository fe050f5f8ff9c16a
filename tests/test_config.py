"""`params.yaml`: what ships is valid, and every mistake is one line that names key, value and what is allowed."""

from pathlib import Path

import pytest
import yaml

from hrm.config import Experiment, load_experiment, read_params, run_list
from hrm.errors import UserError

PARAMS = Path(__file__).parents[1] / "params.yaml"
CATALOGUE = list(read_params(PARAMS)["experiments"])
PUBLISHED = ["arc-1", "arc-2", "sudoku-extreme-1k", "sudoku-extreme-1k-laptop", "sudoku-full", "maze-30x30-hard-1k"]


def load(name: str = "sudoku-mini", *overrides: str) -> Experiment:
    return load_experiment(name, PARAMS, overrides)


def error_of(*overrides: str, name: str = "sudoku-mini") -> str:
    with pytest.raises(UserError) as caught:
        load(name, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_experiment_of_the_catalogue_is_valid(name: str) -> None:
    assert load(name).name == name


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_experiment_has_a_block_for_each_stage(name: str) -> None:
    """DVC follows the block of a stage, and stops where there is none, even an empty one."""
    blocks = read_params(PARAMS)["experiments"][name]
    assert list(blocks) == ["build", "train", "evaluate", "vote", "register"]


def test_the_demo_runs_three_experiments_and_all_published_recipes_are_there() -> None:
    assert run_list(PARAMS) == ["sudoku-mini", "maze-mini", "arc-mini"]
    assert set(PUBLISHED) <= set(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_recipe_says_hardware_time_and_score(name: str) -> None:
    lines = PARAMS.read_text().splitlines()
    place = lines.index(f"  {name}:")
    comment = ""
    while lines[place - 1].startswith("  #"):
        place -= 1
        comment = lines[place] + comment
    assert all(word in comment for word in ("Hardware:", "Time:", "Score:")), comment


def test_published_recipes_have_the_published_numbers() -> None:
    """The table of published results, setting by setting."""
    arc, extreme, full = load("arc-1"), load("sudoku-extreme-1k"), load("sudoku-full")
    assert (arc.train.batch_size, arc.train.optimizer.lr, arc.train.optimizer.warmup_steps) == (768, 1e-4, 2000)
    assert (arc.train.optimizer.weight_decay, arc.train.optimizer.puzzle_lr) == (0.1, 1e-2)
    assert (arc.train.optimizer.puzzle_weight_decay, arc.train.optimizer.lr_min_ratio) == (0.1, 1.0)
    assert (arc.train.epochs, arc.train.eval_every, arc.build.variants) == (100_000, 10_000, 1000)
    for recipe in (extreme, load("maze-30x30-hard-1k")):
        assert (recipe.train.epochs, recipe.train.eval_every) == (20_000, 2_000)
        assert recipe.train.optimizer.puzzle_lr == 1e-4
        assert recipe.train.optimizer.weight_decay == recipe.train.optimizer.puzzle_weight_decay == 1.0
    laptop = load("sudoku-extreme-1k-laptop")
    assert (laptop.train.batch_size, laptop.train.optimizer.lr, laptop.train.optimizer.puzzle_lr) == (384, 7e-5, 7e-5)
    assert (extreme.build.subsample, extreme.build.variants) == (1000, 1000)
    assert (full.train.loss, full.train.batch_size, full.train.epochs, full.train.eval_every) == (
        "softmax",
        2304,
        100,
        10,
    )
    assert (full.train.model.L_cycles, full.train.model.halt_max_steps, full.train.model.positions) == (8, 8, "learned")
    assert (full.train.optimizer.lr, full.train.optimizer.puzzle_lr, full.train.optimizer.lr_min_ratio) == (
        3e-4,
        3e-4,
        0.1,
    )
    model = arc.train.model
    assert (model.hidden, model.heads, model.H_layers, model.L_layers, model.expansion) == (512, 8, 4, 4, 4)
    assert (model.H_cycles, model.L_cycles, model.halt_max_steps, model.halt_exploration) == (2, 2, 16, 0.1)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.batchsize=3", ["experiments.sudoku-mini", "train.batchsize", "no such setting"]),
        ("train.batch_size=many", ["train.batch_size", "'many'", "integer"]),
        ("train.batch_size=0", ["train.batch_size", "0", "greater than 0"]),
        ("train.optimizer.beta1=1.5", ["train.optimizer.beta1", "1.5", "less than or equal to 1"]),
        ("train.optimizer.lr=.nan", ["train.optimizer.lr", "finite"]),
        ("train.processes=3", ["batch_size = 128", "processes = 3"]),
        ("train.model.heads=5", ["train.model", "hidden = 64", "heads = 5"]),
        ("build.sources=[nowhere]", ["build.sources", "'nowhere'", "sudoku-4x4"]),
        ("build.puzzle.kind=chess", ["build.puzzle", "chess", "sudoku"]),
        ("train", ["-o train", "key=value"]),
        ("train.batch_size.x=1", ["batch_size", "not a block"]),
        ("surprise=1", ["surprise", "no such setting"]),
    ],
)
def test_a_mistake_is_one_line(override: str, parts: list[str]) -> None:
    message = error_of(override)
    assert all(part in message for part in parts), message


def test_several_mistakes_are_told_at_once() -> None:
    message = error_of("train.batchsize=3", "vote.kk=1")
    assert "train.batchsize" in message
    assert "vote.kk" in message


def test_an_unknown_experiment_names_the_known_ones() -> None:
    message = error_of(name="sudoku-maxi")
    assert "sudoku-maxi" in message
    assert "sudoku-mini" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("run: [", "not valid YAML"),
        ("[]", "expected the keys"),
        ("run: x\nsources: {}\nexperiments: {}", "run: expected a list"),
        ("run: []\nsources: {}\nexperiments: {}\nextra: 1", "extra: no such key"),
        ("run: []\nsources: {}\nexperiments: {a: 3}", "experiments.a: expected a mapping"),
    ],
)
def test_a_broken_params_file_is_one_line(tmp_path: Path, content: str, part: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(UserError) as caught:
        load_experiment("a", tmp_path / "params.yaml")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_params_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--params FILE"):
        read_params(tmp_path / "params.yaml")


def test_overrides_reach_settings_that_the_file_leaves_out() -> None:
    experiment = load("arc-1", "train.model.hidden=64", "sources.arc-agi-1.dataset=arc-agi-2")
    assert experiment.train.model.hidden == 64
    assert yaml.safe_load(experiment.model_dump_json())["sources"]["arc-agi-1"]["dataset"] == "arc-agi-2"


def test_an_experiment_is_its_own_json() -> None:
    """The resolved block, as JSON, is what a pipeline is given."""
    experiment = load()
    assert Experiment.model_validate_json(experiment.model_dump_json(by_alias=True)) == experiment
