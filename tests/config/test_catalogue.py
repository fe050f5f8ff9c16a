"""`params.yaml` as it ships: every experiment is valid, and the published recipes have the published numbers."""

from pathlib import Path

import pytest

from hrm.config import Experiment, load_experiment, read_params, run_list

PARAMS = Path(__file__).parents[2] / "params.yaml"
CATALOGUE = list(read_params(PARAMS)["experiments"])
PUBLISHED = ["arc-1", "arc-2", "sudoku-extreme-1k", "sudoku-extreme-1k-laptop", "sudoku-full", "maze-30x30-hard-1k"]


def load(name: str) -> Experiment:
    return load_experiment(name, PARAMS)


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
    assert (full.train.model.L_cycles, full.train.halting.max_steps, full.train.model.positions) == (8, 8, "learned")
    assert (full.train.optimizer.lr, full.train.optimizer.puzzle_lr, full.train.optimizer.lr_min_ratio) == (
        3e-4,
        3e-4,
        0.1,
    )
    model = arc.train.model
    assert (model.hidden, model.heads, model.H_layers, model.L_layers, model.expansion) == (512, 8, 4, 4, 4)
    assert (model.H_cycles, model.L_cycles, model.gradient_cycles) == (2, 2, 0)
    assert (arc.train.halting.max_steps, arc.train.halting.exploration) == (16, 0.1)
    assert arc.train.halting.continue_target == "next_segment"
