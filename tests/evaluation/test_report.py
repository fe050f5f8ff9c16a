"""The report: whole, self-contained, and saying what the artifacts say; its charts and its choice of puzzles."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import small_run
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_up import Answered

from hrm.data.dataset import Dataset
from hrm.evaluation.chart import MOST_POINTS, Series, axis, line_chart, short, thinned
from hrm.evaluation.compared import different, distance
from hrm.evaluation.drawn import choose
from hrm.evaluation.failures import failures, surest_failures
from hrm.evaluation.report import write_report
from hrm.evaluation.score import evaluation_scores, valid_first_answers, vote_scores
from hrm.puzzles.base import Bytes, Grids

VOID = {"meta", "input", "br", "path", "line", "rect", "circle", "polyline"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects ids, texts and what would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.pictures = self.tables = self.captions = 0
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.loads += [tag] if tag in ("link", "img", "iframe") or "src" in values or "href" in values else []
        self.pictures += values.get("role") == "img" and bool(values.get("aria-label"))
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data.strip())


def page_of(answered: Answered, right_M: list[bool], folder: Path, name: str = "small", drawn: int = 24) -> str:
    dataset = answered.dataset
    run = small_run.finished_run(folder, dataset)
    ranking = answered.ranking(right_M)
    valid_E = valid_first_answers(ranking, dataset)
    write_report(
        run / "report.html",
        name,
        ranking,
        dataset,
        run,
        predictions=answered.predictions(right_M),
        candidates=answered.candidates(right_M),
        evaluate=evaluation_scores(answered.predictions(right_M), dataset),
        vote=vote_scores(ranking, dataset, [1, 2, 10], valid_E),
        solved_E=ranking.truth_ranks == 0,
        drawn_puzzles=drawn,
    )
    return (run / "report.html").read_text(encoding="utf-8")


def test_page_is_whole_and_needs_nothing_else(sudoku_answered: Answered, tmp_path: Path) -> None:
    text = page_of(sudoku_answered, [True, True, False, True, False, False], tmp_path / "run")
    page = Page(text)
    assert page.loads == []
    assert "url(" not in text
    assert "@import" not in text
    assert len(page.ids) == len(set(page.ids))
    # Four pictures of each of three puzzles but for two missing second answers, two of each of the two failures, two
    # curves, the calibration, and accuracy against compute.
    assert page.pictures == 3 * 4 - 2 + 2 * 2 + 2 + 1 + 1
    assert page.tables == page.captions == 3
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_page_says_what_the_artifacts_say(sudoku: Dataset, sudoku_answered: Answered, tmp_path: Path) -> None:
    text = page_of(sudoku_answered, [True, True, False, True, False, False], tmp_path / "run")
    texts = Page(text).texts
    assert "33.3\N{NO-BREAK SPACE}%" in texts  # exact: one of three
    assert "✓ right" in texts
    assert "✗ wrong" in texts
    assert "1 of 2 votes, confidence 50 %" in texts
    assert "not among the candidates" in texts
    assert sudoku.digest in texts
    assert "max_steps" in " ".join(texts), "settings of the training"
    assert "pass@2" in texts
    assert "pass@10" not in texts, "two copies give two candidates at most"


def test_failures_come_the_surest_first_with_their_wrong_cells_framed(
    sudoku_answered: Answered, tmp_path: Path
) -> None:
    ranking = sudoku_answered.ranking([False] * 6, [0, 0, 3, 3, 1, 1])
    dataset = sudoku_answered.dataset
    unsolved = np.zeros(3, bool)
    assert surest_failures(ranking, unsolved, 2).tolist() == [1, 2]
    text = failures(ranking, dataset, unsolved, 2)
    Page(text)
    assert re.findall(r"<h3>(.*?)</h3>", text) == [dataset.names[dataset.test.groups[row]] for row in (1, 2)]
    assert text.count("1 of 16 cells wrong, confidence 95 %") == 1
    framed = re.findall(r'stroke-dasharray="2.5 1" d="([^"]*)"', text)
    assert sum("M1.5 1.5h7v7h-7z" in path for path in framed) == 2, "the first cell of both"
    assert "2 of 3 unsolved puzzles" in text
    solved = failures(ranking, dataset, ~unsolved, 2)
    assert Page(solved).texts == ["None: all 3 test puzzles are solved."]


def test_an_answer_of_another_size_says_so(arc_answered: Answered) -> None:
    ranking = arc_answered.ranking([False] * 3)
    shorter = replace(ranking, answers=Grids(ranking.answers.cells, np.full_like(ranking.answers.shapes, 2)))
    text = failures(shorter, arc_answered.dataset, np.zeros(1, bool), 1)
    assert "2 × 2 cells instead of 3 × 2" in text


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)), st.data())
def test_cells_that_differ(grid: Bytes, data: st.DataObject) -> None:
    other = data.draw(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=4)))
    cells = {place: int(value) for place, value in np.ndenumerate(grid)}
    of_other = {place: int(value) for place, value in np.ndenumerate(other)}
    assert distance(grid, other) == sum(cells.get(at) != of_other.get(at) for at in cells.keys() | of_other.keys())
    assert {at for at, differs in np.ndenumerate(different(grid, other)) if differs} == {
        at for at, value in cells.items() if of_other.get(at) != value
    }


def test_names_are_text_not_markup(sudoku_answered: Answered, tmp_path: Path) -> None:
    text = page_of(sudoku_answered, [True] * 6, tmp_path / "run", name="<b>&small")
    assert "<h1>&lt;b&gt;&amp;small</h1>" in text
    Page(text)


def test_arc_page(arc_answered: Answered, tmp_path: Path) -> None:
    text = page_of(arc_answered, [True, False, False], tmp_path / "run", drawn=1)
    texts = Page(text).texts
    assert "ARC Prize" in texts
    assert "true answer ranked 2 of 2 candidates" in texts


def test_page_without_curves_or_records(sudoku_answered: Answered, tmp_path: Path) -> None:
    run = tmp_path / "run"
    page_of(sudoku_answered, [True] * 6, run)
    for path in [run / "curves.csv", *run.glob("*.provenance.json")]:
        path.unlink()
    ranking = sudoku_answered.ranking([True] * 6)
    dataset = sudoku_answered.dataset
    write_report(
        run / "report.html",
        "small",
        ranking,
        dataset,
        run,
        predictions=sudoku_answered.predictions([True] * 6),
        candidates=sudoku_answered.candidates([True] * 6),
        evaluate=evaluation_scores(sudoku_answered.predictions([True] * 6), dataset),
        vote=vote_scores(ranking, dataset, [1], None),
        solved_E=ranking.truth_ranks == 0,
        drawn_puzzles=2,
    )
    assert "No curves were recorded for this run." in Page((run / "report.html").read_text()).texts


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 30))
def test_drawn_puzzles_show_both_sides(solved: list[bool], count: int) -> None:
    rows = choose(np.array(solved), count)
    assert len(rows) == min(count, len(solved))
    assert (np.diff(rows) > 0).all()
    drawn = [solved[row] for row in rows]
    if count > 1:
        assert set(drawn) == set(solved), "right and wrong ones, where there are both"
    for side in (True, False):
        assert drawn.count(side) >= min(count // 2, solved.count(side))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.integers(1, 30))
def test_puzzles_with_more_to_show_go_first(puzzles: list[tuple[bool, bool]], count: int) -> None:
    solved, traced = np.array(puzzles).T
    rows = choose(solved, count, traced)
    assert sorted(solved[rows]) == sorted(solved[choose(solved, count)])
    for side in (True, False):
        drawn = rows[solved[rows] == side]
        assert traced[drawn].sum() == min(len(drawn), (traced & (solved == side)).sum())


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_axis_covers_its_values_with_few_ticks(low: float, span: float) -> None:
    scale = axis(low, low + span, 0, 100, most=5)
    assert scale.low <= low + 1e-6 * span
    assert scale.high >= low + span - 1e-6 * span - 1e-9
    assert 2 <= len(scale.ticks) <= 8
    assert np.allclose(np.diff(scale.ticks), scale.ticks[1] - scale.ticks[0], rtol=1e-3)
    assert scale.at(np.array([scale.low, scale.high])).tolist() == [0, 100]


@given(st.integers(1, 2000))
def test_thinned_curves_keep_their_mean_and_their_end(count: int) -> None:
    series = Series(np.arange(1, count + 1, dtype=float), np.linspace(0, 1, count))
    few = thinned(series)
    assert len(few.steps) == len(few.values) <= MOST_POINTS
    assert few.steps[-1] == count
    assert (np.diff(few.steps) > 0).all()
    assert few.values.mean() == pytest.approx(series.values.mean(), abs=0.01)


def test_chart_draws_each_line_and_names_its_last_value() -> None:
    lines = {
        "train": Series(np.array([10.0, 20.0]), np.array([0.5, 0.25])),
        "eval": Series(np.array([20.0]), np.array([0.125])),
    }
    text = line_chart("loss & more", lines)
    Page(text)
    assert "loss &amp; more by training step: train ends at 0.25, eval ends at 0.125" in text
    (points,) = re.findall(r'points="([^"]*)"', text)
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in points.split())
    assert x0 < x1
    assert y0 < y1, "downwards: pixels grow to the bottom"
    assert text.count("<circle") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.8732, "0.873"),
        (12.42, "12.4"),
        (1000, "1,000"),
        (25000, "25k"),
        (1.5e6, "1.5M"),
        (1e-4, "0.0001"),
        (3e-6, "3e-06"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text
