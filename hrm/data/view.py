"""A dataset as one self-contained HTML page: its groups, their examples, and every variant beside its original.

The page makes variants itself, of the symmetries' bytes and the steps that the kind of puzzle names, so that a million
of them take a few megabytes. Arrays are embedded as Base64 of gzip, texts as JSON.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from dataclasses import asdict
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import write_text
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.shown import Shown, shown
from hrm.data.stored import StoredExamples
from hrm.progress import note
from hrm.puzzles import dihedral
from hrm.puzzles.base import Bytes
from hrm.puzzles.drawing import LINE
from hrm.puzzles.steps import UNCHANGED


def view(path: Path, out: Path) -> None:
    """Write a page that browses a dataset, atomically; the same dataset gives the same page.

    Args:
        path: the dataset folder.
        out: the HTML file.

    Raises:
        UserError: when there is no dataset, or it is damaged, or `out` is a folder.
    """
    dataset = open_dataset(path)
    part = shown(dataset)
    room = files("hrm.data")
    style, script, page = (
        room.joinpath(f"view.{kind}").read_text(encoding="utf-8").strip() for kind in ("css", "js", "html")
    )
    name = dataset.path.resolve().name
    text = Template(page).substitute(
        title=escape(f"{name} – {dataset.puzzle.title} dataset"),
        name=escape(name),
        style=style,
        script=script,
        # Nothing but this style and this script, whatever else the page may come to hold.
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'",
        counts=escape(_counts(dataset)),
        digest=dataset.digest,
        bound=escape(_bound(dataset, part)),
        facts=json.dumps(_facts(dataset, part), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        arrays="\n".join(_packed(name, array) for name, array in _arrays(dataset, part).items()),
    )
    write_text(out, text + "\n")
    note(f"{out}: {dataset.path} to browse, {len(text) / 1e6:,.1f} MB")


def _hash(text: str) -> str:
    """How a content security policy names an inline style or script."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _counts(dataset: Dataset) -> str:
    height, width = dataset.puzzle.canvas
    return (
        f"{dataset.puzzle.title} on {height} × {width} cells: {len(dataset.names):,} groups, "
        f"{len(dataset.symmetries):,} variants, {len(dataset.train):,} train and {len(dataset.test):,} test examples"
    )


def _bound(dataset: Dataset, part: Shown) -> str:
    """What is left out, or nothing."""
    told = []
    if len(part.groups) < len(dataset.names):
        told.append(f"{len(part.groups):,} of {len(dataset.names):,} groups, the first of either split")
    all_G, kept_G = np.diff(dataset.starts)[part.groups], np.diff(part.variant_starts)
    if kept_G.sum() < all_G.sum():
        told.append(f"the first {kept_G.max():,} of up to {all_G.max():,} variants of a group")
    return f"Showing {' and '.join(told)}." if told else ""


def _facts(dataset: Dataset, part: Shown) -> dict[str, Any]:
    """All that the page knows besides its arrays."""
    legend = dataset.puzzle.legend
    return {
        "names": [dataset.names[group] for group in part.groups.tolist()],
        "legend": asdict(legend) | {"inks": legend.inks},
        "line": LINE,
        "steps": [asdict(step) for step in dataset.puzzle.steps] if not part.written_out else [],
        "width": dataset.symmetries.shape[1],
        "turns": dihedral.NAMES,
        "unchanged": UNCHANGED,
        "words": _words(dataset, part) if part.written_out else None,
    }


def _words(dataset: Dataset, part: Shown) -> list[str]:
    """What was done to each variant that is shown."""
    words = [dataset.puzzle.describe(symmetry) for symmetry in dataset.symmetries[part.variants]]
    if isinstance(dataset.train, StoredExamples):
        firsts = set(part.variant_starts.tolist())
        # A folder made by others may tell the variants' symmetries nowhere.
        return ["not on record" if word == UNCHANGED and row not in firsts else word for row, word in enumerate(words)]
    return words


def _arrays(dataset: Dataset, part: Shown) -> dict[str, NDArray[Any]]:
    """The page's arrays; `cells` holds question and answer of each example in turn, row by row."""
    shapes_N4 = np.concatenate([part.questions.shapes, part.answers.shapes], axis=1)
    return {
        "variants": part.variant_starts.astype("<u4"),
        "blocks": part.blocks.astype("<u4"),
        "tests": part.tests.astype("<u4"),
        "shapes": shapes_N4,
        "ratings": part.ratings.astype("<i4"),
        "cells": _cells(part),
        "symmetries": dataset.symmetries[part.variants],
    }


def _cells(part: Shown) -> Bytes:
    sides_N2HW = np.stack([part.questions.cells, part.answers.cells], axis=1)
    shapes_N2 = np.stack([part.questions.shapes, part.answers.shapes], axis=1)[:, :, None, None]
    rows, columns = np.ogrid[: sides_N2HW.shape[2], : sides_N2HW.shape[3]]
    cells: Bytes = sides_N2HW[(rows < shapes_N2[..., 0]) & (columns < shapes_N2[..., 1])]
    return cells


def _packed(name: str, array: NDArray[Any]) -> str:
    """An array as a script element that is data: no browser runs this type."""
    packed = b64encode(gzip.compress(np.ascontiguousarray(array).tobytes(), 6, mtime=0)).decode()
    return f'<script type="application/gzip" id="data-{name}">{packed}</script>'
