import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.puzzles import Arc, Sudoku, SudokuGenerator


def test_splits_and_ids_are_the_published_ones(arc: Dataset) -> None:
    """All pairs of training tasks and the demonstrations of evaluation tasks train; the latter's test pairs test."""
    assert list(arc.names) == ["aa", "bb", "cc", "dd", "ee"]
    assert np.bincount(arc.train.groups).tolist() == [2, 3, 5, 2, 3]
    assert np.bincount(arc.test.groups).tolist() == [0, 0, 0, 1, 2]
    assert np.diff(arc.starts).tolist() == [7] * 5
    assert arc.num_puzzle_ids == 1 + 35
    assert (arc.symmetries[arc.starts[:-1]] == arc.puzzle.identity).all()
    assert arc.mean_puzzle_examples == 3.0


def test_the_same_digest_in_another_folder_and_file_order(arc: Dataset, arc_raw: Path, tmp_path: Path) -> None:
    for file in sorted((arc_raw / "tasks").rglob("*.json"), reverse=True):
        target = tmp_path / "tasks" / file.relative_to(arc_raw / "tasks")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    build_dataset(
        BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"], variants=6, seed=3), tmp_path, tmp_path / "again"
    )
    again = open_dataset(tmp_path / "again")
    assert again.digest == arc.digest
    build_dataset(
        BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"], variants=6, seed=4), tmp_path, tmp_path / "other"
    )
    assert open_dataset(tmp_path / "other").digest != arc.digest


PROGRAM = """
import sys
from pathlib import Path
from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.dataset import open_dataset
from hrm.puzzles import Arc

raw, out = map(Path, sys.argv[1:])
build_dataset(BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"], variants=6, seed=3), raw, out)
print(open_dataset(out).digest)
"""


def test_the_same_digest_in_another_environment(arc_raw: Path, tmp_path: Path) -> None:
    shutil.copytree(arc_raw, tmp_path / "raw")
    shutil.copy(arc_raw / "tasks/training/aa.json", tmp_path / "raw/tasks/training/Zürich.json")
    environments: list[dict[str, str]] = [
        {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        {"LC_ALL": "C", "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "4", "TZ": "Asia/Tokyo"},
    ]
    digests = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "raw"), str(tmp_path / f"{number}")],
            env=os.environ | environment,
            umask=0o077 * number,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        for number, environment in enumerate(environments)
    ]
    assert digests[0] == digests[1]


def test_tasks_that_do_not_fit_are_left_out_and_counted(arc_raw: Path, tmp_path: Path) -> None:
    build_dataset(BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"]), arc_raw, tmp_path / "all")
    sizes = open_dataset(tmp_path / "all").train.questions.shapes
    with pytest.raises(UserError, match="none of 5 tasks fits"):
        build_dataset(BuildSettings(puzzle=Arc(canvas_size=1), sources=["tasks"]), arc_raw, tmp_path / "none")
    assert sizes.max() <= 5
    assert not (tmp_path / "none").exists()


def test_subsample_takes_whole_tasks_and_renumbers_them(arc_raw: Path, tmp_path: Path) -> None:
    """A task that is not in the sample is not tested either: nothing was learned of it."""
    settings = BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"], subsample=3, seed=1)
    build_dataset(settings, arc_raw, tmp_path / "some")
    some = open_dataset(tmp_path / "some")
    assert len(some.names) == len(some.train_groups) == 3
    assert set(some.test.groups) <= set(some.train_groups)
    sizes = dict(zip(["aa", "bb", "cc", "dd", "ee"], [2, 3, 5, 2, 3], strict=True))
    for group in some.train_groups:
        assert (some.train.groups == group).sum() == sizes[some.names[int(group)]]


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        ("missing", "no dataset here; make it with `hrm build`"),
        ("format", "format 'hrm-dataset/0' is not 'hrm-dataset/1'"),
        ("truncated", "answers.npy: damaged"),
        ("lost", "groups.npy: missing"),
        ("short", "test/groups.npy: int64 of shape (1,) instead of int64 of (3,)"),
        ("counts", "names.npy: |S2 of shape (5,) instead of bytes_ of (4,)"),
        ("puzzle", "puzzle"),
        ("field", "dataset.json: digest: Field required"),
    ],
)
def test_a_damaged_dataset_is_one_line(arc: Dataset, tmp_path: Path, damage: str, part: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(arc.path, folder)
    header = json.loads((folder / "dataset.json").read_text())
    match damage:
        case "missing":
            shutil.rmtree(folder)
        case "format":
            (folder / "dataset.json").write_text(json.dumps(header | {"format": "hrm-dataset/0"}))
        case "truncated":
            data = (folder / "train/answers.npy").read_bytes()
            (folder / "train/answers.npy").write_bytes(data[:-5])
        case "lost":
            (folder / "test/groups.npy").unlink()
        case "short":
            np.save(folder / "test/groups.npy", np.zeros(1, np.int64))
        case "counts":
            (folder / "dataset.json").write_text(json.dumps(header | {"groups": 4}))
        case "field":
            del header["digest"]
            (folder / "dataset.json").write_text(json.dumps(header))
        case "puzzle":
            (folder / "dataset.json").write_text(json.dumps(header | {"puzzle": {"kind": "chess"}}))
    with pytest.raises(UserError) as caught:
        open_dataset(folder)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_test_puzzles_that_are_trained_on_are_refused(tmp_path: Path) -> None:
    SudokuGenerator(box=(2, 2), train=20, test=5).write(tmp_path / "raw")
    lines = (tmp_path / "raw/train.csv").read_text().splitlines(keepends=True)
    with (tmp_path / "raw/test.csv").open("a") as stream:
        stream.write(lines[3])
    with pytest.raises(UserError, match="1 test puzzle among the training puzzles too, test-5 first"):
        build_dataset(BuildSettings(puzzle=Sudoku(box=(2, 2)), sources=["raw"]), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_may_be_in_any_script(arc_raw: Path, tmp_path: Path) -> None:
    shutil.copytree(arc_raw / "tasks", tmp_path / "tasks")
    (tmp_path / "tasks/training/aa.json").rename(tmp_path / "tasks/training/été.json")
    build_dataset(BuildSettings(puzzle=Arc(canvas_size=8), sources=["tasks"]), tmp_path, tmp_path / "out")
    assert "été" in list(open_dataset(tmp_path / "out").names)
