"""Drawings are well-formed, self-contained, and show what they should."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from hrm.puzzles.drawing import CHANGED, WRONG, svg_grid, with_marks

SVG = "{http://www.w3.org/2000/svg}"
FILLS = [["#ffffff", "#ffffff", "#000000"], ["#ffffff", "#000000", "#000000"]]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def paths(svg: str, **attributes: str) -> list[ElementTree.Element]:
    found = parsed(svg).findall(f"{SVG}path")
    return [
        path for path in found if all(path.get(name.replace("_", "-")) == value for name, value in attributes.items())
    ]


def test_scales_and_has_an_accessible_name() -> None:
    root = parsed(svg_grid(FILLS, label='5 < 6 & "so"'))
    assert root.get("viewBox") == "-1 -1 32 22"
    assert root.get("width") is None
    assert root.get("role") == "img"
    assert root.get("aria-label") == '5 < 6 & "so"'
    assert root.findtext(f"{SVG}title") == '5 < 6 & "so"'


def test_one_path_for_each_colour_with_a_run_for_each_stretch() -> None:
    (white,) = paths(svg_grid(FILLS, label="x"), fill="#ffffff")
    assert white.get("d") == "M0 0h20v10h-20zM0 10h10v10h-10z"
    (black,) = paths(svg_grid(FILLS, label="x"), fill="#000000")
    assert black.get("d") == "M20 0h10v10h-10zM10 10h20v10h-20z"


def test_texts_are_escaped_and_contrast_with_their_cell() -> None:
    svg = svg_grid(
        FILLS, label="x", texts=[["<", "", "S"], ["5", "", ""]], strong=np.array([[1, 0, 1], [0, 0, 0]], bool)
    )
    groups = {
        (group.get("fill"), group.get("font-weight")): [(text.get("x"), text.get("y"), text.text) for text in group]
        for group in parsed(svg).findall(f"{SVG}g")
    }
    assert groups == {
        ("#16161d", "700"): [("5", "5", "<")],
        ("#ffffff", "700"): [("25", "5", "S")],
        ("#16161d", "400"): [("5", "15", "5")],
    }


def test_marked_cells_get_a_frame_that_does_not_need_colours() -> None:
    marked = np.zeros((2, 3), bool)
    assert "dash" not in svg_grid(FILLS, label="x", marked=marked)
    marked[1, 2] = True
    (frame,) = (path for path in paths(svg_grid(FILLS, label="x", marked=marked)) if path.get("stroke-dasharray"))
    assert frame.get("d") == "M21.5 11.5h7v7h-7z"


def test_thick_lines_go_around_boxes() -> None:
    fills = [["#ffffff"] * 4] * 4
    (thick,) = paths(svg_grid(fills, label="x", box=(2, 2)), stroke_width="1.2")
    assert thick.get("d") == "M0 0h40M0 20h40M0 40h40M0 0v40M20 0v40M40 0v40"
    (outline,) = paths(svg_grid(fills, label="x"), stroke_width="1.2")
    assert outline.get("d") == "M0 0h40M0 40h40M0 0v40M40 0v40"


def test_refers_to_nothing_outside() -> None:
    svg = svg_grid(FILLS, label="x", texts=[["1"] * 3] * 2, marked=np.ones((2, 3), bool))
    assert "href" not in svg
    assert "url(" not in svg
    assert "<style" not in svg


def test_a_large_grid_stays_small() -> None:
    rng = np.random.default_rng(0)
    fills = np.array(["#ffffff", "#2b2d42"])[rng.integers(2, size=(30, 30))].tolist()
    assert len(svg_grid(fills, label="maze")) < 16_000


def test_marks_are_added_to_a_picture() -> None:
    picture = svg_grid(FILLS, label="x")
    wrong, changed = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    assert with_marks(picture, wrong=wrong, changed=changed) == with_marks(picture) == picture
    wrong[1, 2], changed[0, 1] = True, True
    marked = with_marks(picture, wrong=wrong, changed=changed)
    assert [path.get("d") for path in paths(marked, stroke=WRONG)] == ["M21.5 11.5h7v7h-7z"]
    assert [path.get("d") for path in paths(marked, fill=CHANGED)] == ["M10.3 0.3h4l-4 4z"]
    assert with_marks(marked, wrong=wrong) == marked, "no frame is drawn twice"
    assert with_marks(svg_grid([["#ffffff"]], label="x"), wrong=np.zeros((0, 0), bool))
