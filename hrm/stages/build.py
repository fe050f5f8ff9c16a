"""Stage `build`: raw puzzles to a dataset."""

from __future__ import annotations

from pathlib import Path

from hrm import provenance
from hrm.config import BuildSettings
from hrm.data.adopt import adopt
from hrm.data.build import build_dataset
from hrm.data.dataset import open_dataset
from hrm.progress import note


def build(settings: BuildSettings, raw: Path, out: Path) -> None:
    """Build a dataset folder, and its provenance record beside it.

    Args:
        settings: the experiment's `build` block.
        raw: the folder that holds the source folders.
        out: the dataset folder to write.

    Raises:
        UserError: when a raw file is missing or damaged, or nothing is left to train or test on.
    """
    if settings.published is None:
        build_dataset(settings, raw, out)
        inputs = {name: raw / name for name in settings.sources}
    else:
        adopt(settings.puzzle, settings.published, out)
        inputs = {"published": settings.published}
    provenance.write(out.with_name(f"{out.name}.provenance.json"), "build", inputs=inputs, settings=settings)
    dataset = open_dataset(out)
    counts = f"{len(dataset.train):,} train and {len(dataset.test):,} test examples"
    extra = "".join(f", {key.replace('_', ' ')}: {count:,}" for key, count in dataset.notes.items() if count)
    note(f"{out}: {len(dataset.names):,} groups, {len(dataset.symmetries):,} variants, {counts}{extra}")
