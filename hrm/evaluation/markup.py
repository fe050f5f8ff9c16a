"""Pieces of the report's HTML: figures in words, tables, what folds away."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def per_cent(fraction: float) -> str:
    """A fraction in per cent with one decimal."""
    return f"{100 * fraction:.1f}\N{NO-BREAK SPACE}%"


def interval(bounds: tuple[float, float]) -> str:
    """Two fractions in per cent."""
    return " to ".join(per_cent(bound) for bound in bounds)


def short_interval(bounds: tuple[float, float]) -> str:
    """Two fractions in per cent where there is little room."""
    return "–".join(f"{100 * bound:.1f}" for bound in bounds) + "\N{NO-BREAK SPACE}%"


def counted(count: int, word: str) -> str:
    """A count with its word in singular or plural."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def details(title: str, content: str) -> str:
    """HTML that folds away below its title."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; the first of each row names it.

    Args:
        caption: what the table holds, for those who do not see what stands around it.
        heads: of the columns.
        rows: as many texts each.
    """
    columns = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    lines = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="wide"><table class="figures"><caption class="unseen">{escape(caption)}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
