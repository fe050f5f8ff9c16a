"""How many examples a second one thread makes: drawn, augmented, encoded."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import data
from benchmarks.clock import seconds
from benchmarks.table import Table, number
from hrm.data.dataset import Dataset
from hrm.data.loader import Position, TrainBatches
from hrm.progress import progress

BATCH_SIZE = 768


class Source:
    """Makes the batches of a dataset one after another."""

    def __init__(self, dataset: Dataset) -> None:
        self._batches = TrainBatches(dataset, batch_size=BATCH_SIZE, seed=0)
        self._position = Position()

    def __call__(self) -> None:
        """Make one."""
        _, self._position = self._batches.batch(self._position)


def measure(quick: bool) -> list[Table]:
    """One table: Sudoku and ARC."""
    rounds, variants = (3, 3) if quick else (200, 1000)
    with TemporaryDirectory() as folder:
        sources = {
            f"9×9 Sudoku, {variants} variants": Source(
                data.sudoku(Path(folder), puzzles=20 if quick else 1000, variants=variants)
            ),
            f"ARC-AGI-1, 30×30 canvas, {variants} variants": Source(
                data.arc(Path(folder), tasks=20 if quick else None, variants=variants)
            ),
        }
        taken: dict[str, list[float]] = {name: [] for name in sources}
        for source in sources.values():
            source()  # the first one reads the files
        for _ in progress(range(rounds), total=rounds, desc="loader", unit="round"):
            for name, source in sources.items():
                taken[name].append(seconds(source))
    rows = [(name, number(BATCH_SIZE / median(t)), number(1000 * median(t))) for name, t in taken.items()]
    note = f"Batches of {BATCH_SIZE} from one thread, augmentation included; median of {rounds}, by turns."
    return [Table("The loader", note, ("dataset", "samples/s", "ms a batch"), rows)]
