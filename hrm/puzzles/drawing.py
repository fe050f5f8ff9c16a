"""Grids of cells as small SVG pictures that stand inside an HTML page without any file beside them.

Every cell has its own fill and the text is dark or light by that fill, so a picture looks the same on a light and on a
dark page. It takes the width that the page's style gives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass
from html import escape
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

CELL = 10
"""Side of a cell in the picture's own units."""
MARGIN = 1
"""Room around the cells for the outer line."""
LINE = "#80808a"
"""Colour of the lines: visible on light and on dark."""
WRONG = "#c1121f"
"""Colour of the frames around wrong cells."""
CHANGED = "#1d4ed8"
"""Colour of the corners of changed cells."""

Mask = NDArray[np.bool]
Stretch = tuple[tuple[float, float], tuple[float, float]]
"""Row and column of where a line begins and where it ends; whole numbers are the middles of cells."""


@dataclass(frozen=True)
class Legend:
    """How each cell value of a kind of puzzle is drawn and called."""

    fills: tuple[str, ...]
    """The colour of each value as `#rrggbb`."""
    names: tuple[str, ...]
    """What people call each value."""
    texts: tuple[str, ...]
    """A short text for each value, or none."""
    box: tuple[int, int] | None = None
    """Height and width of the boxes that thick lines go around."""
    given: str | None = None
    """The colour of cells that are not 0 in the question, there and in its answer, which has them in bold."""

    @classmethod
    def numbered(cls, count: int) -> Legend:
        """Values 0 to count - 1 as numbers on tints of their own, 0 on white."""
        tints = [hls_to_rgb(value / count, 0.85, 0.6) for value in range(count)]
        fills = [f"#{''.join(f'{round(255 * part):02x}' for part in tint)}" for tint in tints]
        numbers = tuple(map(str, range(count)))
        return cls(("#ffffff", *fills[1:]), numbers, numbers)

    @property
    def inks(self) -> tuple[str, ...]:
        """The colour of each value's text."""
        return tuple(map(_ink, self.fills))


def svg_grid(
    fills: Sequence[Sequence[str]],
    *,
    label: str,
    texts: Sequence[Sequence[str]] | None = None,
    strong: Mask | None = None,
    marked: Mask | None = None,
    box: tuple[int, int] | None = None,
    route: Sequence[Stretch] = (),
) -> str:
    """A grid as a self-contained SVG element.

    Args:
        fills: the colour of each cell as `#rrggbb`, row by row; all rows of one length.
        label: what the picture shows, for screen readers and as a tooltip.
        texts: a short text for each cell.
        strong: (H, W) the cells whose text is bold; all when left out.
        marked: (H, W) the cells with a frame, such as wrong ones; the frame shows without colours, too.
        box: height and width of the boxes that thick lines go around.
        route: stretches of a line through the cells, below the texts.
    """
    height, width = len(fills), len(fills[0])
    view = f"{-MARGIN} {-MARGIN} {width * CELL + 2 * MARGIN} {height * CELL + 2 * MARGIN}"
    bold = np.ones((height, width), np.bool) if strong is None else strong
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" role="img" aria-label="{escape(label)}">',
            f"<title>{escape(label)}</title>",
            *_cells(fills),
            _lines(height, width, (1, 1), 0.4),
            _lines(height, width, box or (height, width), 1.2),
            _route(route),
            *(_texts(fills, texts, bold) if texts else ()),
            _frames(marked) if marked is not None else "",
            "</svg>",
        ]
    )


def with_marks(picture: str, *, wrong: Mask | None = None, changed: Mask | None = None) -> str:
    """A picture made by `svg_grid` with more marks; each shows on every fill and without colours.

    Args:
        picture: of a grid.
        wrong: (H, W) the cells that get a frame.
        changed: (H, W) the cells that get a corner.
    """
    marks = "" if wrong is None else _frames(wrong & ~_framed(picture, wrong.shape))
    marks += "" if changed is None else _corners(changed)
    return f"{picture.removesuffix('</svg>')}{marks}</svg>"


def _cells(fills: Sequence[Sequence[str]]) -> Iterator[str]:
    """One path for each colour, made of its runs along the rows."""
    runs: dict[str, list[str]] = {}
    for row, line in enumerate(fills):
        column = 0
        for fill, cells in groupby(line):
            length = len(list(cells))
            run = f"M{column * CELL} {row * CELL}h{length * CELL}v{CELL}h-{length * CELL}z"
            runs.setdefault(fill, []).append(run)
            column += length
    # Crisp edges: no seams of the page's colour between neighbours.
    return (
        f'<path fill="{escape(fill)}" shape-rendering="crispEdges" d="{"".join(path)}"/>' for fill, path in runs.items()
    )


def _lines(height: int, width: int, every: tuple[int, int], thickness: float) -> str:
    rows = [f"M0 {row * CELL}h{width * CELL}" for row in range(0, height + 1, every[0])]
    columns = [f"M{column * CELL} 0v{height * CELL}" for column in range(0, width + 1, every[1])]
    path = "".join(rows + columns)
    return f'<path fill="none" stroke="{LINE}" stroke-width="{thickness}" stroke-linecap="square" d="{path}"/>'


def _texts(fills: Sequence[Sequence[str]], texts: Sequence[Sequence[str]], strong: Mask) -> Iterator[str]:
    """The texts in up to four groups: bold or not, dark or light."""
    groups: dict[tuple[str, int], list[str]] = {}
    for (row, column), bold in np.ndenumerate(strong):
        if text := texts[row][column]:
            style = (_ink(fills[row][column]), 700 if bold else 400)
            x, y = column * CELL + CELL // 2, row * CELL + CELL // 2
            groups.setdefault(style, []).append(f'<text x="{x}" y="{y}">{escape(text)}</text>')
    for (ink, weight), elements in groups.items():
        yield (
            f'<g fill="{ink}" font-family="sans-serif" font-size="7" font-weight="{weight}" '
            f'text-anchor="middle" dominant-baseline="central">{"".join(elements)}</g>'
        )


def _ink(fill: str) -> str:
    """Dark text on a light cell and light text on a dark one (by the fill's luma, Rec. 601)."""
    red, green, blue = (int(fill[place : place + 2], 16) for place in (1, 3, 5))
    return "#16161d" if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else "#ffffff"


def _route(stretches: Sequence[Stretch]) -> str:
    """A dark line on a light one, so that it shows on every fill."""
    path = "".join(
        f"M{CELL * (column + 0.5):g} {CELL * (row + 0.5):g}L{CELL * (to_column + 0.5):g} {CELL * (to_row + 0.5):g}"
        for (row, column), (to_row, to_column) in stretches
    )
    if not path:
        return ""
    line = f'stroke-linecap="round" fill="none" d="{path}"/>'
    return f'<path stroke="#ffffff" stroke-width="3.4" {line}<path stroke="#9a3412" stroke-width="2" {line}'


def _corners(changed: Mask) -> str:
    """A filled corner with a white edge at the top left of each changed cell."""
    path = "".join(
        f"M{column * CELL + 0.3} {row * CELL + 0.3}h4l-4 4z" for row, column in np.argwhere(changed).tolist()
    )
    if not path:
        return ""
    return f'<path fill="{CHANGED}" stroke="#ffffff" stroke-width="0.5" d="{path}"/>'


def _frames(marked: Mask) -> str:
    """A dashed red frame on a white one inside each marked cell, so that it shows on every fill."""
    path = "".join(f"M{column * CELL + 1.5} {row * CELL + 1.5}h7v7h-7z" for row, column in np.argwhere(marked).tolist())
    if not path:
        return ""
    return (
        f'<path fill="none" stroke="#ffffff" stroke-width="1.6" d="{path}"/>'
        f'<path fill="none" stroke="{WRONG}" stroke-width="1.2" stroke-dasharray="2.5 1" d="{path}"/>'
    )


def _framed(picture: str, shape: tuple[int, ...]) -> Mask:
    """(H, W) the cells of a picture that have a frame: drawn twice, thousands of them would take most of a page."""
    framed = np.zeros(shape, np.bool)
    for x, y in re.findall(r"M(\d+)\.5 (\d+)\.5h7v7h-7z", picture):
        framed[int(y) // CELL, int(x) // CELL] = True
    return framed
