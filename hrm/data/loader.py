"""Training batches: every draw is a pure function of (seed, epoch, position).

1. An epoch is a random order of the training groups; batches run on over the end of an epoch.
2. A batch takes groups in that order, picks one of each group's variants, and takes its examples until the batch is
   full; the last group gives a random subset where there is no room for all.
3. The variant's symmetry is applied, and examples of kinds that translate are moved on the canvas, all but one of each
   puzzle.
4. A process makes only its own rows of the global batch; the draws are those of the global batch.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hrm.data.batch import Batch
from hrm.data.dataset import Dataset
from hrm.data.stored import StoredExamples, StoredPuzzles
from hrm.data.variants import VariantPuzzles
from hrm.puzzles.base import Ints

_ORDER, _DRAW = 0, 1  # streams of random numbers: an epoch's order, a batch's draws


class Position(NamedTuple):
    """Where the next batch begins."""

    epoch: int = 0
    group: int = 0
    """Groups of the epoch's order that are done."""


@dataclass(frozen=True)
class Draw:
    """The rows of a global batch before any grid is touched."""

    examples_B: Ints
    """Rows of `dataset.train`."""
    variants_B: Ints
    """Rows of `dataset.symmetries`; of the stored puzzles, where a dataset has such."""
    moved_B: NDArray[np.bool_]
    """Whether the example is moved on the canvas, where the kind of puzzle translates."""
    where_B2: NDArray[np.float64]
    """Where to, from 0 to 1 of the room there is, down and right."""


class TrainBatches:
    """Draws the training batches of a dataset."""

    def __init__(self, dataset: Dataset, *, batch_size: int, seed: int, rows: slice = slice(None)) -> None:
        """Prepare to draw.

        Args:
            dataset: the dataset.
            batch_size: examples of the global batch.
            seed: of every draw.
            rows: the rows of the global batch that this process makes.
        """
        self.dataset, self.batch_size, self.seed, self.rows = dataset, batch_size, seed, rows
        self.groups = dataset.train_groups
        self.puzzles: VariantPuzzles | StoredPuzzles
        if isinstance(dataset.train, StoredExamples):
            self.puzzles = StoredPuzzles(dataset.train, dataset.puzzle.ignored_label)
        else:
            self.puzzles = VariantPuzzles(dataset, dataset.train)
        self.sizes_G = self.puzzles.sizes_G
        self._order: tuple[int, Ints] = (-1, np.empty(0, np.int64))

    def batch(self, position: Position) -> tuple[Batch, Position]:
        """This process's rows of the batch at `position`, and the position of the next batch."""
        draw, after = self.draw(position)
        rows = self.rows
        drawn = (draw.examples_B[rows], draw.variants_B[rows], draw.moved_B[rows], draw.where_B2[rows])
        return self.puzzles.batch(*drawn), after

    def draw(self, position: Position) -> tuple[Draw, Position]:
        """The draws of the global batch at `position`, and the position of the next batch."""
        rng = self._rng(_DRAW, *position)
        groups_M, after = self._take_groups(position)
        sizes_M = self.sizes_G[groups_M]
        room = self.batch_size - sizes_M[:-1].sum()
        puzzles = self.puzzles
        variants_M = puzzles.variant_starts_G[groups_M] + rng.integers(puzzles.variant_counts_G[groups_M])
        staying_M = rng.integers(sizes_M)
        where_B2 = rng.random((self.batch_size, 2))
        subset = np.sort(rng.permutation(sizes_M[-1])[:room])

        member_B = np.repeat(np.arange(len(groups_M)), np.append(sizes_M[:-1], room))
        begins_M = np.cumsum(sizes_M) - sizes_M
        within_B = np.arange(self.batch_size) - begins_M[member_B]
        within_B[-room:] = subset
        return Draw(
            examples_B=puzzles.firsts(groups_M, variants_M)[member_B] + within_B,
            variants_B=variants_M[member_B],
            moved_B=within_B != staying_M[member_B],
            where_B2=where_B2,
        ), after

    def skip(self, position: Position, skipped: Collection[Position]) -> Position:
        """The first position from `position` on whose batch is not left out."""
        while position in skipped:
            _, position = self.draw(position)
        return position

    def _take_groups(self, position: Position) -> tuple[Ints, Position]:
        """Groups from `position` on whose examples fill the batch; the last may have more than there is room for."""
        epoch, done = position
        taken: list[Ints] = []
        missing = self.batch_size
        while True:
            rest = self._epoch_order(epoch)[done:]
            filled = np.cumsum(self.sizes_G[rest])
            if len(rest) and filled[-1] >= missing:
                count = int(np.searchsorted(filled, missing)) + 1
                taken.append(rest[:count])
                done += count
                break
            taken.append(rest)
            missing -= int(filled[-1]) if len(rest) else 0
            epoch, done = epoch + 1, 0
        return np.concatenate(taken), Position(epoch, done)

    def _epoch_order(self, epoch: int) -> Ints:
        order = self._order  # one look: another thread may draw as well
        if order[0] != epoch:
            order = self._order = epoch, self._rng(_ORDER, epoch, 0).permutation(len(self.groups))
        return order[1]

    def _rng(self, stream: int, epoch: int, group: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, stream, epoch, group])))


def prefetched(
    batches: TrainBatches, position: Position, count: int, skipped: Collection[Position] = ()
) -> Iterator[tuple[Batch, Position]]:
    """`count` batches from `position` on, each with the position after it, made ahead in a thread.

    Batches that begin at one of the `skipped` positions are left out, and not counted.
    """
    ready: queue.Queue[tuple[Batch, Position] | BaseException] = queue.Queue(maxsize=2)
    stopped = threading.Event()

    def put(item: tuple[Batch, Position] | BaseException) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        at = position
        try:
            for _ in range(count):
                if stopped.is_set():
                    return
                batch, at = batches.batch(batches.skip(at, skipped))
                put((batch, at))
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="loader", daemon=True)
    thread.start()
    try:
        for _ in range(count):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
