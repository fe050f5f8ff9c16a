import json
from pathlib import Path

import numpy as np
import pytest

from hrm.config import BuildSettings
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.info import describe, facts, info
from hrm.errors import UserError
from hrm.puzzles import Maze, MazeGenerator
from hrm.stages.build import build


def test_facts_are_those_of_the_published_layout(arc: Dataset) -> None:
    """What the dataset would be with every variant written out: 15 training examples, 7 variants of each, 64 tokens."""
    told = facts(arc, None)
    assert json.loads(json.dumps(told)) == told | {"ratings": {}}
    assert told["variant_examples"] == 15 * 7 == arc.mean_puzzle_examples * len(arc.symmetries)
    assert told["variant_tokens"] == 15 * 7 * 64
    assert (told["groups"], told["variants"], told["puzzle_ids"]) == (5, 35, 36)
    assert told["bytes"] == sum(len(file.read_bytes()) for file in arc.path.rglob("*.*"))


def test_the_table(arc: Dataset) -> None:
    assert describe(arc, None).splitlines() == [
        f"dataset             {arc.path}",
        "puzzle              ARC (canvas_size 8)",
        "groups              5",
        "variants            35, of a group 7",
        "train examples      15, over all variants 105",
        "test examples       3",
        "tokens              64 of 12 kinds; training, all variants 6,720",
        "puzzle ids          36",
        "left out too large  0",
        f"size on disk        {facts(arc, None)['bytes'] / 1e6:.1f} MB",
        f"digest              {arc.digest}",
        "sources             not on record",
    ]


def test_sources_and_ratings(tmp_path: Path) -> None:
    """Where a source came from is told only while the raw files are those that the dataset was built from."""
    raw, out = tmp_path / "raw", tmp_path / "mazes"
    MazeGenerator(size=5, wall_density=(0.3, 0.4), min_path=4, train=12, test=4).write(raw / "made")
    build(BuildSettings(puzzle=Maze(size=5), sources=["made"]), raw, out)
    dataset, record = open_dataset(out), json.loads((tmp_path / "mazes.provenance.json").read_text())
    digest = record["inputs"]["made"]
    assert facts(dataset, record, raw)["sources"] == {"made": {"digest": digest, "origin": None}}

    settings = {"origin": "generate", "generator": {"kind": "maze", "size": 5}}
    file = raw / "made.source.json"
    file.write_text(json.dumps({"settings": settings, "version": "", "digest": digest}))
    text = describe(dataset, record, raw)
    assert f"made, generate (generator kind maze, size 5), digest {digest[:12]}\n" in text
    assert text.count("Ratings of the ") == 2
    assert info(out, raw) == text
    told = json.loads(info(out, raw, as_json=True))
    assert told["sources"]["made"]["origin"] == settings
    assert sum(count for _, _, count in told["ratings"]["test"]) == 4
    counts = np.bincount(dataset.train.ratings)
    most = int(counts.argmax())
    assert f" {most}  {'█' * 30}  {counts[most]} ({counts[most] / 12:.1%})" in text

    file.write_text(json.dumps({"settings": settings, "version": "", "digest": "0" * 64}))
    assert f"made, digest {digest[:12]}\n" in describe(dataset, record, raw)
    (tmp_path / "mazes.provenance.json").write_text("{}")
    with pytest.raises(UserError, match=r"mazes.provenance.json: code, inputs missing; build the dataset again"):
        info(out)
