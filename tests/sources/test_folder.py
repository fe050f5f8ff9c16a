"""Puzzles from a local folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hrm.errors import UserError
from hrm.sources import FolderSource

TASK = {"train": [{"input": [[1, 2]], "output": [[3]]}], "test": [{"input": [[4]], "output": [[5]]}]}
CANONICAL = '{"train":[{"input":[[1,2]],"output":[[3]]}],"test":[{"input":[[4]],"output":[[5]]}]}\n'


def write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2))


def files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["Above/Above1", "Below/Below1"], ["training/Above1.json", "training/Below1.json"]),
        (["data/training/a", "data/evaluation/b"], ["evaluation/b.json", "training/a.json"]),
        (["a"], ["training/a.json"]),
    ],
)
def test_layouts(tmp_path: Path, places: list[str], expected: list[str]) -> None:
    for place in places:
        write(tmp_path / "from" / f"{place}.json", {"name": "dropped", **TASK})
    into = tmp_path / "into"
    FolderSource(path=tmp_path / "from", kind="arc").fetch("mine", into)
    assert files(into) == expected
    assert {(into / file).read_text() for file in expected} == {CANONICAL}


def test_tables_are_copied(tmp_path: Path) -> None:
    tables = tmp_path / "from"
    tables.mkdir()
    (tables / "train.csv").write_bytes(b"source,question,answer,rating\r\n")
    source = FolderSource(path=tables, kind="table")
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(UserError, match=r"test.csv: no such file; a table source needs train.csv and test.csv"):
        source.fetch("mine", into)
    before = source.version()
    (tables / "test.csv").write_bytes(b"x")
    source.fetch("mine", into)
    assert files(into) == ["test.csv", "train.csv"]
    assert (into / "train.csv").read_bytes() == b"source,question,answer,rating\r\n"
    assert source.version() != before


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    source = FolderSource(path=tmp_path / "from", kind="arc")
    with pytest.raises(UserError, match=r"from: no such folder; put the puzzles there or correct the source's path"):
        source.version()
    (tmp_path / "from").mkdir()
    with pytest.raises(UserError, match=r"from: no task files \(\*.json\)"):
        source.fetch("mine", tmp_path / "into")
    write(tmp_path / "from" / "A" / "x.json", TASK)
    write(tmp_path / "from" / "B" / "x.json", TASK)
    with pytest.raises(UserError, match=r"B/x.json: .*A/x.json has the same task id"):
        source.fetch("mine", tmp_path / "into")
    write(tmp_path / "from" / "B" / "x.json", {"train": [], "test": []})
    (tmp_path / "from" / "A" / "x.json").unlink()
    with pytest.raises(UserError, match=r"B/x.json: train: expected a list"):
        source.fetch("mine", tmp_path / "into")


def test_a_published_name_is_checked(tmp_path: Path) -> None:
    write(tmp_path / "from" / "Above" / "Above1.json", TASK)
    source = FolderSource(path=tmp_path / "from", kind="arc")
    with pytest.raises(UserError, match=r"from: not the published concept-arc \(digest .*\); .* another name"):
        source.fetch("concept-arc", tmp_path / "into")
