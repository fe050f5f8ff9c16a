"""A dataset written in the published layout, and what is left when that fails."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small_run

from hrm.data.dataset import Dataset
from hrm.data.published import Part, Split
from hrm.errors import UserError
from hrm.stages.export import export


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return small_run.arc_dataset(tmp_path / "made")


def test_an_export_replaces_an_earlier_one_and_nothing_else(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(dataset.path, out)
    (out / "train/all__inputs.npy").write_bytes(b"")
    export(dataset.path, out)
    assert len(np.load(out / "train/all__inputs.npy")) == 15
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"out: thesis.tex is in this folder"):
        export(dataset.path, out)
    with pytest.raises(UserError, match=r"dataset.json is in this folder"):
        export(dataset.path, dataset.path)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dataset here"):
        export(tmp_path / "nothing", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(dataset: Dataset, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            export(dataset.path, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["made"]


def test_an_interrupt_leaves_the_earlier_export(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(dataset.path, tmp_path / "out")
    before = {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.*")}
    whole = Split.parts

    def cut_short(self: Split) -> Iterator[Part]:
        yield next(whole(self, 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(Split, "parts", cut_short)
    with pytest.raises(KeyboardInterrupt):
        export(dataset.path, tmp_path / "out")
    assert {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.*")} == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["made", "out"]
