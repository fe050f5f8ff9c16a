"""The report of a real small run in a real browser: its sliders by keyboard, and what it says of halting."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small_run
from browser import CHROMIUM, Browser, browser
from test_report import Page

from hrm.config import EvaluateSettings, TrainSettings, VoteSettings
from hrm.data.dataset import Dataset
from hrm.evaluation.thinking import Thinking
from hrm.evaluation.trace import Trace, open_trace
from hrm.puzzles.drawing import CHANGED
from hrm.stages.evaluate import evaluate
from hrm.stages.vote import vote

SEGMENTS = 5

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def run(sudoku: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("thinking") / "run"
    settings = TrainSettings.model_validate(small_run.SETTINGS.model_dump() | {"halting": {"max_steps": SEGMENTS}})
    small_run.write_checkpoint(run / "checkpoints", sudoku, settings, steps=25)
    evaluate(EvaluateSettings(copies=2), sudoku.path, run / "checkpoints", run)
    vote(VoteSettings(), sudoku.path, run, "small")
    return run


@pytest.fixture(scope="module")
def trace(run: Path, sudoku: Dataset) -> Trace:
    trace = open_trace(run / "predictions", sudoku.puzzle.canvas)
    assert trace is not None
    return trace


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def open_page(page: Browser, run: Path, until: str = "document.documentElement?.dataset.ready === 'yes'") -> None:
    page.requests.clear()
    page.errors.clear()
    page.resize(1280, 900)
    page.open("about:blank", "true")
    address = (run / "report.html").as_uri()
    page.open(address, until)
    assert [request for request in page.requests if request != "about:blank"] == [address]
    assert page.errors == []


SHOWN = """(() => {
  const {activeElement: slider} = document;
  const example = slider.dataset.example;
  const picture = document.getElementById(`picture-${example}`);
  return {
    example: Number(example), value: slider.value, spoken: slider.getAttribute("aria-valuetext"),
    said: document.getElementById(`said-${example}`).textContent, label: slider.labels[0].textContent,
    digits: [...picture.querySelectorAll("text")].map((text) =>
      [(text.getAttribute("y") - 5) / 10, (text.getAttribute("x") - 5) / 10, Number(text.textContent)]),
    changed: [...picture.querySelectorAll("path")].filter((path) => path.getAttribute("fill") === "COLOUR")
      .map((path) => path.getAttribute("d")).join(""),
  };
})()""".replace("COLOUR", CHANGED)


def assert_shows(page: Browser, trace: Trace, segment: int) -> None:
    """The focused slider's picture and words are those of a segment."""
    shown = page.run(SHOWN)
    answers = trace.of(trace.examples.tolist().index(shown["example"]))
    grid = answers.grid(segment - 1)
    drawn = np.zeros_like(grid)
    for row, column, digit in shown["digits"]:
        drawn[row, column] = digit
    assert (drawn == grid).all()
    assert (shown["value"], shown["label"]) == (str(segment), "Segment")
    assert shown["said"] == shown["spoken"]
    assert shown["spoken"].startswith(f"Segment {segment} of {SEGMENTS}: ")
    if segment == 1:
        assert shown["changed"] == ""
        assert "changed" not in shown["spoken"]
    else:
        differs = np.argwhere(grid != answers.grid(segment - 2)).tolist()
        corners = [[float(y), float(x)] for x, y in re.findall(r"M([\d.]+) ([\d.]+)h4", shown["changed"])]
        assert corners == [[row * 10 + 0.3, column * 10 + 0.3] for row, column in differs]
        assert f"{len(differs)} cell" in shown["spoken"]


@needs_browser
def test_a_slider_is_moved_by_keyboard(page: Browser, run: Path, trace: Trace) -> None:
    open_page(page, run)
    for _ in range(60):
        page.press("Tab")
        if page.run("document.activeElement.type") == "range":
            break
    # From the end, where the page opens, to the start, and back.
    assert_shows(page, trace, SEGMENTS)
    for segment in range(SEGMENTS - 1, 0, -1):
        page.press("ArrowLeft")
        assert_shows(page, trace, segment)
    page.press("ArrowLeft")
    assert_shows(page, trace, 1)
    page.press("ArrowRight", "ArrowUp")
    assert_shows(page, trace, 3)
    page.press("End")
    assert_shows(page, trace, SEGMENTS)
    page.press("Home")
    assert_shows(page, trace, 1)
    assert page.errors == []


@needs_browser
def test_answers_change_between_segments(page: Browser, run: Path, trace: Trace) -> None:
    """Else the test of the slider would show nothing."""
    cells = np.stack([trace.of(place).cells for place in range(3)])
    assert (cells[:, 1:] != cells[:, :-1]).any()


@needs_browser
def test_without_scripts_there_is_the_last_answer_and_the_table(page: Browser, run: Path, trace: Trace) -> None:
    page.scripts(allowed=False)
    try:
        open_page(page, run, "document.readyState === 'complete' && !!document.querySelector('footer')")
        assert page.run("[...document.querySelectorAll('.slider')].every((each) => !each.offsetParent)")
        assert page.run("document.querySelectorAll('.thinking svg').length") == 3
        assert page.run("document.querySelectorAll('.thinking tbody tr').length") == 3 * SEGMENTS
        said = page.run("[...document.querySelectorAll('.said')].map((each) => each.textContent)")
        assert all(words.startswith(f"Segment {SEGMENTS} of {SEGMENTS}") for words in said)
    finally:
        page.scripts(allowed=True)


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_hangs_over_the_edge(page: Browser, run: Path, width: int) -> None:
    open_page(page, run)
    page.resize(width, 900)
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    parts = "[...document.querySelectorAll('svg, table, input')]"
    inside = page.run("document.documentElement.clientWidth")
    assert page.run("document.documentElement.scrollWidth") == inside
    assert page.run(f"Math.max(...{parts}.map((each) => each.getBoundingClientRect().right))") <= inside


def test_halting_is_counted(run: Path, trace: Trace) -> None:
    text = (run / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tables == page.captions
    assert "Each of 3 puzzles runs 5 segments." in text
    for segment in range(SEGMENTS):
        stop = int(trace.stops_right[segment] + trace.stops_wrong[segment])
        share = f"{100 * trace.right[segment] / 3:.1f}\N{NO-BREAK SPACE}%"
        row = f'<th scope="row">{segment + 1}</th><td>{stop}</td><td>{trace.stops_right[segment]}</td><td>{share}</td>'
        assert row in text


def test_words_say_where_the_model_would_stop(sudoku: Dataset, trace: Trace) -> None:
    thinking = Thinking(sudoku, trace)
    thinking.html(0)
    _, words = thinking._pictures[0]
    assert [number for number, each in enumerate(words, 1) if "would stop here" in each] == [trace.stops[0]]


def test_a_run_without_a_trace_has_a_page_without_sliders(sudoku: Dataset, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/predictions/trace.npz").unlink()
    vote(VoteSettings(), sudoku.path, tmp_path / "run", "small")
    text = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "This evaluation did not record the answers between segments." in Page(text).texts
    assert "Calibration of the Q head" in text
    assert "<script" not in text
