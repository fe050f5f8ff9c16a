"""The frame of a page without a script or another file."""

from __future__ import annotations

from html import escape
from importlib.resources import files

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def plain_page(name: str, kind: str, lede: str, body: str) -> str:
    """A page in the style of the report.

    Args:
        name: the heading.
        kind: of page, a word.
        lede: what it is about, as text; none where that is empty.
        body: HTML, from `<main>` on.
    """
    style = files("hrm.evaluation").joinpath("report.css").read_text(encoding="utf-8").strip()
    about = f'<p class="lede">{escape(lede)}</p>\n' if lede else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(name)} – {kind}</title>\n<style>\n{style}\n</style>\n</head>\n<body>\n<header>\n"
        f'<p class="eyebrow">Hierarchical Reasoning Model · {kind}</p>\n<h1>{escape(name)}</h1>\n{about}</header>\n'
        f"{body}\n</body>\n</html>\n"
    )
