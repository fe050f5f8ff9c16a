"""What a dataset holds, in numbers and as a text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from hrm.artifacts import read_json, read_record
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.dataset_arrays import REMEDY
from hrm.data.ratings import rating_histogram
from hrm.puzzles.base import Examples

BAR = 30
"""Characters of the longest bar."""
EIGHTHS = " ▏▎▍▌▋▊▉"


def info(path: Path, raw: Path | None = None, *, as_json: bool = False) -> str:
    """What a dataset folder holds, as `describe` tells it or as the JSON of `facts`.

    Args:
        path: the dataset folder; the record of its building is found beside it.
        raw: the folder of the raw sources.
        as_json: for programs.

    Raises:
        UserError: when there is no dataset, or it or a record is damaged.
    """
    dataset, record = open_dataset(path), path.with_name(f"{path.name}.provenance.json")
    provenance = read_record(record, ["inputs", "code"], REMEDY) if record.is_file() else None
    if as_json:
        return json.dumps(facts(dataset, provenance, raw), indent=2, ensure_ascii=False)
    return describe(dataset, provenance, raw)


def facts(dataset: Dataset, provenance: Mapping[str, Any] | None, raw: Path | None = None) -> dict[str, Any]:
    """Everything that `describe` tells, fit for JSON.

    Args:
        dataset: the dataset.
        provenance: the record that `hrm build` wrote beside it; None where there is none.
        raw: the folder of the raw sources, whose records know where they came from.

    Returns:
        Counts by name. `variant_examples` and `variant_tokens` are those of the training split with every variant
        written out, as nobody does; a question's tokens, which an answer has as well. `ratings` has for each split with
        ratings its histogram, rows of (from, to, examples), ends included.
    """
    variants_G = np.diff(dataset.starts)
    splits = {"test": dataset.test}
    examples = len(dataset.train)
    if isinstance(dataset.train, Examples):
        splits = {"train": dataset.train, **splits}
        examples = int(np.bincount(dataset.train.groups, minlength=len(dataset.names)) @ variants_G)
    return {
        "path": str(dataset.path),
        "puzzle": dataset.puzzle.model_dump(mode="json"),
        "groups": len(dataset.names),
        "variants": len(dataset.symmetries),
        "variants_of_a_group": [int(variants_G.min()), int(variants_G.max())],
        "train_examples": len(dataset.train),
        "test_examples": len(dataset.test),
        "variant_examples": examples,
        "variant_tokens": examples * dataset.seq_len,
        "seq_len": dataset.seq_len,
        "vocab_size": dataset.vocab_size,
        "puzzle_ids": dataset.num_puzzle_ids,
        "notes": dataset.notes,
        "bytes": sum(file.stat().st_size for file in dataset.path.rglob("*") if file.is_file()),
        "digest": dataset.digest,
        "sources": _sources(provenance, raw) if provenance else {},
        "built_by": dict(provenance["code"]) if provenance else {},
        "ratings": {
            name: [astuple(bin_) for bin_ in rating_histogram(split.ratings)]
            for name, split in splits.items()
            if split.ratings.any()
        },
    }


def _sources(provenance: Mapping[str, Any], raw: Path | None) -> dict[str, dict[str, Any]]:
    """The digest of each source, and its origin's settings if the raw files' record is of the same content."""
    sources: dict[str, dict[str, Any]] = {}
    for name, digest in provenance["inputs"].items():
        file = raw / f"{name}.source.json" if raw else None
        record = read_json(file) if file and file.is_file() else {}
        origin = record["settings"] if record.get("digest") == digest else None
        sources[name] = {"digest": digest, "origin": origin}
    return sources


def describe(dataset: Dataset, provenance: Mapping[str, Any] | None, raw: Path | None = None) -> str:
    """The facts of a dataset as a table, and its ratings as bars; the arguments are those of `facts`."""
    told = facts(dataset, provenance, raw)
    rows = list(_rows(told, dataset.puzzle.title))
    width = max(len(label) for label, _ in rows) + 2
    lines = [f"{label:{width}}{value}".rstrip() for label, value in rows]
    for split, bars in told["ratings"].items():
        lines += ["", f"Ratings of the {split} examples", *_bars(bars)]
    return "\n".join(lines)


def _rows(told: Mapping[str, Any], title: str) -> Iterator[tuple[str, str]]:
    few, many = told["variants_of_a_group"]
    yield "dataset", told["path"]
    yield "puzzle", f"{title} ({_settings(told['puzzle'], but='kind')})"
    yield "groups", f"{told['groups']:,}"
    yield "variants", f"{told['variants']:,}, of a group {few:,}" + (f" to {many:,}" if many > few else "")
    yield "train examples", f"{told['train_examples']:,}, over all variants {told['variant_examples']:,}"
    yield "test examples", f"{told['test_examples']:,}"
    yield (
        "tokens",
        f"{told['seq_len']:,} of {told['vocab_size']} kinds; training, all variants {told['variant_tokens']:,}",
    )
    yield "puzzle ids", f"{told['puzzle_ids']:,}"
    for note, count in told["notes"].items():
        yield note.replace("_", " "), f"{count:,}"
    yield "size on disk", f"{told['bytes'] / 1e6:,.1f} MB"
    yield "digest", told["digest"]
    label = "sources"
    for name, source in told["sources"].items():
        origin = source["origin"]
        come = f", {origin['origin']} ({_settings(origin, but='origin')})" if origin else ""
        yield label, f"{name}{come}, digest {source['digest'][:12]}"
        label = ""
    if not told["sources"]:
        yield label, "not on record"
    if told["built_by"]:
        commit = told["built_by"]["git_commit"]
        yield "built by", f"hrm {told['built_by']['version']}" + (f" at commit {commit}" if commit else "")


def _settings(values: Mapping[str, Any], *, but: str) -> str:
    """`key value` of each setting that is set, without the one that tells which settings there are."""
    shown = {key: value for key, value in values.items() if key != but and value not in (None, "")}
    return ", ".join(
        f"{key} {_settings(value, but='') if isinstance(value, dict) else value}" for key, value in shown.items()
    )


def _bars(rows: list[tuple[int, int, int]]) -> Iterator[str]:
    largest, total = max(count for _, _, count in rows), sum(count for _, _, count in rows)
    labels = [f"{start:,}" if start == end else f"{start:,}–{end:,}" for start, end, _ in rows]
    width = max(map(len, labels))
    for label, (_, _, count) in zip(labels, rows, strict=True):
        whole, rest = divmod(-(-count * BAR * 8 // largest), 8)
        bar = "█" * whole + EIGHTHS[rest].strip()
        yield f"  {label:>{width}}  {bar:{BAR}}  {count:,} ({count / total:.1%})"
