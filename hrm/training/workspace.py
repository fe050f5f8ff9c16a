"""The folder of a run: what is in it while training goes on, and when it is done.

training/               the run's latest checkpoints and its curves, until it is done; no pipeline tool tracks it,
                        so that none takes an interrupted run away
checkpoints/            what the finished run leaves of them
curves.csv  train.json  train.provenance.json
aside-1/ ...            runs of other settings or data that were here before
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from hrm.artifacts import held, link_or_copy, written_beside
from hrm.tracking.points import SPOOL
from hrm.tracking.record import PLACE, WANDB_PLACE
from hrm.training.card import ModelCard, is_intact, newest_card, newest_first

RECORDS = ("curves.csv", "train.json", "train.provenance.json")
"""Files of a finished run."""


class Workspace:
    """The places of a run, and the moves between them."""

    def __init__(self, run: Path) -> None:
        """Name the places below a run's folder; nothing is made yet."""
        self.run = run
        self.training = run / "training"
        self.checkpoints = run / "checkpoints"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others out while this process works in the folder; the lock ends with the process, however it ends.

        Raises:
            UserError: when another training is at work in it.
        """
        with held(self.run / ".lock", f"{self.run}: another `hrm train` is at work here"):
            yield

    def is_finished(self, card: ModelCard) -> bool:
        """Whether the run of this card is done, with all its records."""
        complete = all((self.run / name).is_file() for name in RECORDS)
        intact = any(is_intact(folder) for folder in newest_first(self.checkpoints))
        return complete and intact and self._is_result_of(card)

    def set_aside_others(self, card: ModelCard) -> Path | None:
        """Move what belongs to another run than that of `card` out of the way; nothing is ever removed.

        Returns:
            Where it is now; None when there was nothing to move.
        """
        moved = []
        if newest_first(self.training) and not _belongs(newest_card(self.training), card):
            moved.append(self.training)
        if newest_first(self.checkpoints) and not self._is_result_of(card):
            moved += [self.checkpoints, *(self.run / name for name in RECORDS)]
        if not moved:
            return None
        # Else the next run, or its scores, would be logged into this one's.
        moved += [self.run / name for name in (PLACE, SPOOL, WANDB_PLACE)]
        aside = next(place for number in count(1) if not (place := self.run / f"aside-{number}").exists())
        aside.mkdir()
        for path in moved:
            if path.exists():
                path.rename(aside / path.name)
        return aside

    def _is_result_of(self, card: ModelCard) -> bool:
        found = newest_card(self.checkpoints)
        return found is not None and _same_run(found, card) and found.train.ending == card.train.ending

    def publish(self, checkpoint: Path, count: int) -> None:
        """Give one of the run's checkpoints its final place, and the ones before it, `count` in all where there are."""
        until = [folder for folder in newest_first(self.training) if folder.name <= checkpoint.name]
        with written_beside(self.checkpoints) as beside:
            for folder in until[:count]:
                shutil.copytree(folder, beside / folder.name, copy_function=link_or_copy)

    def clear(self) -> None:
        """Remove what only an interrupted run needs."""
        shutil.rmtree(self.training, ignore_errors=True)  # an upload that takes too long may still tidy up in it


def _belongs(found: ModelCard | None, card: ModelCard) -> bool:
    return found is not None and _same_run(found, card)


def _same_run(found: ModelCard, card: ModelCard) -> bool:
    origins = (found.dataset_digest, found.imported) == (card.dataset_digest, card.imported)
    return origins and found.train.trajectory == card.train.trajectory
