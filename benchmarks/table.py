"""A table of figures in Markdown, and its place on a page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.clock import machine
from hrm.artifacts import write_text
from hrm.errors import UserError

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""The lines between which a page holds what was measured."""


@dataclass(frozen=True)
class Table:
    """Figures, and what they are figures of."""

    title: str
    note: str
    """How it was measured, for a reader who wants to compare."""
    columns: Sequence[str]
    """The first one names the row, the others are figures."""
    rows: Sequence[Sequence[str]]

    @property
    def heading(self) -> str:
        """Its line of Markdown."""
        return f"### {self.title}"

    def markdown(self, command: str) -> str:
        """The table under its heading, with the command that measured it, the day and the machine."""
        origin = f"`{command}`, {date.today()}: {machine()}. {self.note}"
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        paragraph = textwrap.fill(origin, 120, break_long_words=False, break_on_hyphens=False)
        return "\n".join([self.heading, "", paragraph, "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def put(page: Path, tables: Mapping[str, str]) -> None:
    """Put tables between the two marks of a page, each in the place of the one with its heading; all else stays.

    Args:
        page: a Markdown file.
        tables: Markdown, by heading.

    Raises:
        UserError: when the page or its marks are missing.
    """
    try:
        before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    except FileNotFoundError:
        raise UserError(f"{page}: no such file; run this in the project's folder") from None
    inside, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{page}: put the lines {BEGIN} and {END} where the figures belong")
    parts = [part.strip() + "\n" for part in re.split(r"^(?=### )", inside, flags=re.MULTILINE) if part.strip()]
    merged = {part.partition("\n")[0]: part for part in parts} | dict(tables)
    write_text(page, "\n\n".join([before + BEGIN, *(part.strip() for part in merged.values()), END + after]))


def number(value: float) -> str:
    """Three digits that count, thousands set apart; powers of ten are spelled out."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}" if abs(rounded) >= 1e-3 else f"{rounded:.6f}"
