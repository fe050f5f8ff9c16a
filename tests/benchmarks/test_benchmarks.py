"""The benchmarks run, what they compare with computes the same, and a page takes their tables without losing a word."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small_run
import torch

from benchmarks import data, serve
from benchmarks.cases import quick_setups
from benchmarks.plain import Plain
from benchmarks.table import BEGIN, END, Table, number, put
from hrm.config import HaltingSettings, ModelSettings, OptimizerSettings, TrainSettings
from hrm.data.loader import Position, TrainBatches
from hrm.errors import UserError
from hrm.training.distributed import Processes
from hrm.training.state import fresh_state
from hrm.training.step import Step

ROOT = Path(__file__).parents[2]
PAGE = f"""# Before

{BEGIN}

### Elsewhere

old

### The loader

old

{END}

### The loader

not ours
"""


def test_the_plain_method_is_what_a_step_computes(tmp_path: Path) -> None:
    """With puzzle ids, ignored labels, rows that halt, and rates at which every mistake shows."""
    settings = TrainSettings(
        model=ModelSettings(hidden=32, heads=2, H_layers=1, L_layers=1),
        halting=HaltingSettings(max_steps=2, exploration=0.5),
        optimizer=OptimizerSettings(lr=1e-2, warmup_steps=2, lr_min_ratio=0.1),
        batch_size=4,
        processes=1,
        precision="float32",
        compile=False,
    )
    dataset, processes = data.arc(tmp_path, tasks=10, variants=2), Processes(0, 1, torch.device("cpu"))
    batches, position = TrainBatches(dataset, batch_size=4, seed=0), Position()
    state, step = fresh_state(settings, dataset, processes), Step(settings, 10, processes)
    plain, halted = Plain(settings, state.model, 10), 0.0
    for _ in range(5):
        batch, position = batches.batch(position)
        step(state, batch, position)
        ours, theirs = state.window.close(), plain(batch)
        assert theirs["loss"] == pytest.approx(ours["train/loss"], rel=1e-4)
        count = theirs.pop("count")
        for name in set(theirs) - {"loss"} if count else ():
            assert theirs[name] / count == pytest.approx(ours[f"train/{name}"], rel=1e-4), name
        halted += count
    assert halted > 4
    assert plain.weights["puzzle_embedding.table"].count_nonzero()
    for name, weight in state.model.state_dict().items():
        torch.testing.assert_close(plain.weights[name], weight, rtol=1e-3, atol=1e-4, msg=lambda text, n=name: n + text)


def test_a_quick_run_fills_every_table_and_the_page(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    page = tmp_path / "docs/benchmarks.md"
    page.parent.mkdir()
    page.write_text((ROOT / "docs/benchmarks.md").read_text())
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]

    printed = run(tmp_path, "--quick", "--write").stdout
    tables = printed.split("### ")[1:]
    assert [len(figures(table)) for table in tables] == [len(quick_setups()[0].cases), 3, 3, 2, 4, 8, 4, 6, 5, 6]
    for case, row in zip(quick_setups()[0].cases, figures(tables[0]), strict=True):
        assert row[0] == case.name
    for table in tables:
        assert "`python -m benchmarks --quick`" in table
        for row in figures(table):
            values = [
                float(re.sub(r"[*,% ]", "", cell))
                for cell in row[1:]
                if not re.match(r"step|\d+ (steps|min)|.*\(", cell)
            ]
            assert values, row
            assert min(values) > 0, row

    text = page.read_text()
    assert text.startswith(before)
    assert text.endswith(END + after)
    for table in tables:
        assert text.count(f"### {table.strip()}\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["benchmarks.md", "params.yaml"]


def test_a_server_that_answers_anything_but_the_evaluation_is_not_measured(tmp_path: Path) -> None:
    dataset = small_run.sudoku_dataset(tmp_path)
    small_run.write_predictions(tmp_path / "run/predictions", dataset, [True, True, True])
    answers = [{"answer": dataset.puzzle.format(dataset.test.answers.grid(row))} for row in range(3)]
    serve.require_evaluated(answers, tmp_path, dataset)
    with pytest.raises(UserError, match="2 of 3 answers over HTTP are not those of `hrm evaluate`"):
        serve.require_evaluated([answers[1], answers[0], answers[2]], tmp_path, dataset)


def test_a_table_takes_the_place_of_its_own_heading_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    inode = page.stat().st_ino
    loader, step = (Table(title, "How.", ("what", "s"), [("row", "1")]) for title in ("The loader", "The step"))
    put(page, {table.heading: table.markdown("command") for table in (loader, step)})
    assert page.stat().st_ino != inode  # written beside and renamed
    text = page.read_text()
    before, inside, after = re.split(f"{BEGIN}|{END}", text)
    assert (before, after) == tuple(re.split(f"{BEGIN}.*{END}", PAGE, flags=re.DOTALL))
    assert re.findall("### .*", inside) == ["### Elsewhere", "### The loader", "### The step"]
    assert inside.count("old") == 1
    put(page, {loader.heading: loader.markdown("command")})
    assert page.read_text() == text


def test_a_page_without_marks_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{END}\n{BEGIN}\n")
    with pytest.raises(UserError, match=r"page\.md: put the lines"):
        put(page, {})
    assert page.read_text() == f"{END}\n{BEGIN}\n"


def test_an_unknown_name_and_another_folder_are_told_in_one_line(tmp_path: Path) -> None:
    assert (
        "there are step, generators, build, loader, checkpoint, evaluate, vote, adapt, serve"
        in run(tmp_path, "steps", status=2).stderr
    )
    assert run(tmp_path, "step", "--quick", status=2).stderr.startswith("benchmarks: error: params.yaml: no such file")


@pytest.mark.parametrize(
    ("value", "shown"), [(123456.7, "123,000"), (99.96, "100"), (7.0, "7"), (0.01234, "0.0123"), (2e-5, "0.000020")]
)
def test_a_number_has_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def run(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks` in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def figures(table: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    return [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
