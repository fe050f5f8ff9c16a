"""Easier copies: each is the original with some blanks filled, and nothing else about a dataset changes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.check import check_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.easier import fill
from hrm.errors import UserError
from hrm.puzzles import Maze, Sudoku, SudokuGenerator


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw")
    (raw / "made").mkdir()
    SudokuGenerator(box=(2, 2), givens="minimal", train=20, test=10, seed=2).write(raw / "made")
    return raw


def built(raw: Path, out: Path, copies: int, **settings: int) -> Dataset:
    build_dataset(
        BuildSettings(puzzle=Sudoku(box=(2, 2)), sources=["made"], easier_copies=copies, **settings), raw, out
    )
    return open_dataset(out)


def test_a_dataset_with_easier_copies(raw: Path, tmp_path: Path) -> None:
    plain, mixed = built(raw, tmp_path / "plain", 0, variants=3), built(raw, tmp_path / "mixed", 2, variants=3)
    check_dataset(mixed.path)
    assert mixed.names[:30] == plain.names[:30]
    assert mixed.names[30:34] == ["train-0~1", "train-0~2", "train-1~1", "train-1~2"]
    assert len(mixed.train_groups) == 60
    assert (np.diff(mixed.starts)[mixed.train_groups] == 4).all()
    assert (mixed.test.questions.cells == plain.test.questions.cells).all()
    plain_N, mixed_M = plain.originals.questions.cells, mixed.originals.questions.cells
    assert (mixed_M[:20] == plain_N).all()
    for row, name in enumerate(mixed.names[30:]):
        original = int(name.removeprefix("train-").split("~")[0])
        copy, answer = mixed_M[20 + row], mixed.originals.answers.cells[20 + row]
        filled = (plain_N[original] == 0) & (copy != 0)
        assert (copy[~filled] == plain_N[original][~filled]).all()
        assert (copy[filled] == answer[filled]).all()
        assert (answer == plain.originals.answers.cells[original]).all()
        assert filled.any()
        assert (copy == 0).any()
    assert mixed.originals.ratings[20:].max() == 0


def test_only_the_sample_has_easier_copies_and_a_seed_gives_the_same(raw: Path, tmp_path: Path) -> None:
    first = built(raw, tmp_path / "first", 3, subsample=5, seed=4)
    assert len(first.train_groups) == 20
    assert built(raw, tmp_path / "again", 3, subsample=5, seed=4).digest == first.digest
    assert built(raw, tmp_path / "other", 3, subsample=5, seed=5).digest != first.digest


@given(blanks=st.integers(2, 16), seed=st.integers(0, 2**32))
def test_every_number_of_blanks_is_filled_but_none_and_all(blanks: int, seed: int) -> None:
    answers = np.tile(np.arange(1, 17, dtype=np.uint8).reshape(4, 4), (400, 1, 1))
    questions = answers.copy()
    questions.reshape(400, 16)[:, :blanks] = 0
    left = (fill(questions, answers, np.random.default_rng(seed)) == 0).sum(axis=(1, 2))
    assert 1 <= left.min() <= left.max() <= blanks - 1
    assert set(left) == set(range(1, blanks)), "each of at most 15 numbers once in 400 tries, but for one in 10^10"


def test_kinds_without_easier_copies_say_so(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="easier_copies: there are none of a Maze; leave it out"):
        BuildSettings(puzzle=Maze(size=4), sources=["made"], easier_copies=1)
    with pytest.raises(ValidationError, match="easier_copies cannot change a published folder"):
        BuildSettings.model_validate({"puzzle": Sudoku(), "published": tmp_path, "easier_copies": 1})


def test_an_easier_copy_that_is_a_test_puzzle_is_refused(tmp_path: Path) -> None:
    answer, head = "1234341221434321", "source,question,answer,rating\n"
    (tmp_path / "made").mkdir()
    (tmp_path / "made/train.csv").write_text(f"{head}x,..{answer[2:]},{answer},0\n")
    (tmp_path / "made/test.csv").write_text(
        f"{head}x,.{answer[1:]},{answer},0\nx,{answer[0]}.{answer[2:]},{answer},0\n"
    )
    with pytest.raises(UserError, match="among the training puzzles too"):
        built(tmp_path, tmp_path / "out", 1)
