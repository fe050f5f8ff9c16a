"""From raw files to a dataset: read, choose, make the variants' symmetries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hrm.config import BuildSettings
from hrm.data.dataset import write_dataset
from hrm.data.easier import with_easier_copies
from hrm.data.overlap import in_both
from hrm.errors import UserError
from hrm.puzzles.base import Examples, Ints, Table


def build_dataset(settings: BuildSettings, raw: Path, out: Path) -> None:
    """Build the dataset of `settings` from the source folders below `raw`.

    Raises:
        UserError: when a raw file is missing or damaged, or the choice leaves nothing to train or test on.
    """
    table = settings.puzzle.read([raw / name for name in settings.sources])
    table = choose(table, settings)
    for split, examples in {"train": table.train, "test": table.test}.items():
        if not len(examples):
            raise UserError(f"{out}: no {split} example is left; check build.puzzle, build.min_rating and the sources")
    table = with_easier_copies(table, settings.easier_copies, settings.seed)
    if not settings.puzzle.has_puzzle_ids:
        _refuse_overlap(table, out)
    symmetries, starts = settings.puzzle.variants(table, settings.variants, settings.seed)
    write_dataset(out, settings.puzzle, table, symmetries, starts)


def _refuse_overlap(table: Table, out: Path) -> None:
    """A test puzzle that was trained on tests nothing."""
    if both := in_both(table.train.questions.cells, table.test.questions.cells):
        first = table.names[int(table.test.groups[both[0][0]])]
        count = f"{len(both)} test puzzle{'s' * (len(both) > 1)}"
        raise UserError(f"{out}: {count} among the training puzzles too, {first} first; remove from one of the two")


def choose(table: Table, settings: BuildSettings) -> Table:
    """The part of a table that the settings ask for: by rating, then a random sample of the training groups."""
    train, tested_N = table.train, np.ones(len(table.test), np.bool_)
    if settings.min_rating:
        train = _keep(train, train.ratings >= settings.min_rating)
        tested_N &= table.test.ratings >= settings.min_rating
    groups = np.unique(train.groups)
    if settings.subsample is not None and settings.subsample < len(groups):
        rng = np.random.Generator(np.random.Philox(settings.seed))
        sample = rng.choice(groups, settings.subsample, replace=False)
        train = _keep(train, np.isin(train.groups, sample))
        if settings.puzzle.has_puzzle_ids:
            # Without a demonstration to learn from, a task's puzzle id means nothing.
            tested_N &= np.isin(table.test.groups, sample)
    sets = table.test_sets
    if sets is not None:
        sets = replace(sets, members=sets.members[tested_N])
    return _renumber(replace(table, train=train, test=_keep(table.test, tested_N), test_sets=sets))


def _keep(examples: Examples, kept_N: NDArray[np.bool_]) -> Examples:
    return examples.take(np.flatnonzero(kept_N))


def _renumber(table: Table) -> Table:
    """Drop groups that no example belongs to, and number the others without gaps, in the same order."""
    used: Ints = np.union1d(table.train.groups, table.test.groups)
    if len(used) == len(table.names):
        return table
    return replace(
        table,
        names=[table.names[group] for group in used],
        train=replace(table.train, groups=np.searchsorted(used, table.train.groups)),
        test=replace(table.test, groups=np.searchsorted(used, table.test.groups)),
    )
