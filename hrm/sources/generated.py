"""Puzzles made here, from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hrm.puzzles import Generator
from hrm.sources.base import Origin


class GeneratedSource(Origin):
    """Tables written by the generator of a kind of puzzle."""

    origin: Literal["generate"] = "generate"
    generator: Generator
    """What to make, how many, from which seed."""

    def fetch(self, name: str, into: Path) -> str:
        """Generate `train.csv` and `test.csv`.

        Raises:
            UserError: when there are not as many different puzzles as wanted.
        """
        self.generator.write(into)
        return ""
