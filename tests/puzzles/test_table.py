"""The published columns: read back as written, at block borders too, and every kind of damage named in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.errors import UserError
from hrm.puzzles import table
from hrm.puzzles.held_out import Draw, Splits, write_splits
from hrm.puzzles.rows import RowNames, read_rows
from hrm.puzzles.table import Row, read_table, write_table

ALPHABET = {"a": 0, "b": 1, " ": 7}
HEADER = "source,question,answer,rating\n"


def read(path: Path) -> table.Columns:
    return read_table(path, length=4, alphabet=ALPHABET)


def decoded(codes: np.ndarray) -> list[str]:
    letters = {code: letter for letter, code in ALPHABET.items()}
    return ["".join(letters[code] for code in row) for row in codes.tolist()]


cells = st.text(alphabet="ab ", min_size=4, max_size=4)
# Characters that a CSV has to quote, and longer than one byte.
lines = st.builds(Row, st.text(alphabet='x,"é', max_size=5), cells, cells, st.integers(0, 10**17))


@given(rows=st.lists(lines, max_size=12), block=st.integers(1, 80))
def test_reads_what_it_wrote_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], block: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "train.csv"
    write_table(path, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "BLOCK_BYTES", block)
        columns = read(path)
    assert decoded(columns.questions) == [row.question for row in rows]
    assert decoded(columns.answers) == [row.answer for row in rows]
    assert columns.ratings.tolist() == [row.rating for row in rows]


def test_written_bytes(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [Row("here", "ab  ", "abab", 3)])
    assert (tmp_path / "t.csv").read_bytes() == b"source,question,answer,rating\nhere,ab  ,abab,3\n"


def test_columns_in_another_order_without_source_from_windows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffrating,answer,question\r\n12,abab,a  a\r\n3,bbbb,    \r\n".encode())
    columns = read(path)
    assert decoded(columns.questions) == ["a  a", "    "]
    assert columns.ratings.tolist() == [12, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column question, answer, rating; the first line must be source,question,answer,rating"),
        ("source,question,rating\n", "no column answer; the first line must be source,question,answer,rating"),
        ("s,abab,abab,1\ns,abab,ab", "line 3: cut off; fetch the file again (a whole one ends with a line break)"),
        ("s,abab,abab,1\ns,abab\n", "line 3: 2 columns instead of 4: cut off or damaged; fetch the file again"),
        ("s,abab,abab,1,9\n", "line 2: 5 columns instead of 4: cut off or damaged; fetch the file again"),
        ("s,abab,abab,1\n\n", "line 3: 1 columns instead of 4: cut off or damaged; fetch the file again"),
        ("s,abab,abab,1\ns,aba,abab,1\n", "line 3: the question has 3 cells instead of 4; correct the line"),
        ("s,abab,ababa,1\n", "line 2: the answer has 5 cells instead of 4; correct the line"),
        ("s,abab,abxb,1\n", "line 2: character 'x' at place 3 of the answer; allowed are ' ab'"),
        ("s,ab\xe9b,abab,1\n", "line 2: character 'é' at place 3 of the question; allowed are ' ab'"),
        ("s,abab,abab,\n", "line 2: the rating is not a whole number; correct the line"),
        ("s,abab,abab,1\ns,abab,abab,1.5\n", "line 3: the rating is not a whole number; correct the line"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(text if text.startswith("source") or not text else HEADER + text, encoding="latin-1")
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value) == f"{path}: {message}"


def test_lines_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BLOCK_BYTES", 50)
    path = tmp_path / "train.csv"
    path.write_text(HEADER + "s,abab,abab,1\n" * 20 + "s,ab,abab,1\n" + "s,abab,abab,1\n" * 20)
    with pytest.raises(UserError, match=r"train\.csv: line 22: the question has 2 cells"):
        read(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path / "train.csv")
    assert str(error.value) == (f"{tmp_path / 'train.csv'}: no such file; run `hrm fetch` first")


def test_groups_run_on_over_splits_and_sources(tmp_path: Path) -> None:
    sources = [tmp_path / "one", tmp_path / "two"]
    for source, count in zip(sources, (2, 1), strict=True):
        write_table(source / "train.csv", [Row("s", "abab", "abab", count)] * count)
        write_table(source / "test.csv", [Row("s", "bbbb", "aaaa", 5)] * 2)
    read = read_rows(sources, side=2, alphabet=ALPHABET, check=lambda questions, answers: None)
    assert list(read.names) == ["train-0", "train-1", "train-2", "test-0", "test-1", "test-2", "test-3"]
    assert read.train.groups.tolist() == [0, 1, 2]
    assert read.test.groups.tolist() == [3, 4, 5, 6]
    assert read.train.ratings.tolist() == [2, 2, 1]
    assert read.test.questions.grid(3).tolist() == [[1, 1], [1, 1]]


def test_names_are_a_sequence_made_on_demand() -> None:
    names = RowNames(3_800_000, 400_000)
    assert len(names) == 4_200_000
    assert (names[0], names[3_799_999], names[3_800_000], names[-1]) == (
        "train-0",
        "train-3799999",
        "test-0",
        "test-399999",
    )
    assert names[1:3] == ["train-1", "train-2"]
    with pytest.raises(IndexError):
        names[4_200_000]


def draw(question: str, family: str) -> Draw:
    return Draw(Row("s", question, question, 0), family.encode())


def test_a_family_stays_in_one_split_and_no_puzzle_comes_twice() -> None:
    splits = Splits(train=4, test=2)
    taken = [splits.add(draw(*pair)) for pair in ("aA", "bB", "aA", "cA", "dB", "eB", "fC", "gD", "hD")]
    # The first family goes to train, the second to test (then further behind), which is full after bB and dB.
    assert taken == [True, True, False, True, True, False, True, True, False]
    assert [row.question for row in splits.rows["train"]] == ["a", "c", "f", "g"]
    assert [row.question for row in splits.rows["test"]] == ["b", "d"]
    assert splits.full


def test_gives_up_when_nothing_new_comes(tmp_path: Path) -> None:
    repeated = iter(lambda: draw("a", "A"), None)
    with pytest.raises(UserError) as error:
        write_splits(tmp_path / "raw", repeated, train=3, test=1, patience=10)
    assert str(error.value) == (
        "generator: 2 train and 1 test puzzles missing after 10 attempts in a row without a new one; "
        "ask for fewer or easier puzzles"
    )
    assert not (tmp_path / "raw").exists()
