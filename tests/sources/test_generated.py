"""Puzzles made by a generator."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from hrm.sources import GeneratedSource, Source


def test_the_generator_writes_the_tables(tmp_path: Path) -> None:
    block = {"origin": "generate", "generator": {"kind": "sudoku", "box": [2, 2], "train": 5, "test": 2}}
    source = TypeAdapter(Source).validate_python(block)
    assert isinstance(source, GeneratedSource)
    source.fetch("mine", tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["test.csv", "train.csv"]
    for file in tmp_path.iterdir():
        assert file.read_text().splitlines()[0] == "source,question,answer,rating"
