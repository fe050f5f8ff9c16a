"""The page that browses a dataset, in a real browser: what it shows is what Python computes."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser, browser
from small_tables import mazes, sudokus, table_dataset

from hrm.data import shown
from hrm.data.adopt import adopt
from hrm.data.dataset import Dataset, open_dataset, write_dataset
from hrm.data.published import write_published
from hrm.data.variants import as_variants
from hrm.data.view import view
from hrm.errors import UserError
from hrm.puzzles import Maze, Sudoku
from hrm.puzzles.base import Examples, Grids, Table

LOADED = "typeof arrays !== 'undefined' && !!arrays.symmetries && drawn.cells === arrays.cells && !waiting"
HOSTILE = [
    "</script><script>document.title = 'owned'</script>",
    "<!--<script><img src=x onerror=\"document.title = 'owned'\">",
    "&amp; \"'${facts}`",
    "日本 %2F#/1",
    "plain",
]

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def open_view(page: Browser, dataset: Dataset, folder: Path, where: str = "") -> str:
    """Open a dataset's page; it must ask for nothing but itself and raise nothing. Returns its address."""
    view(dataset.path, folder / "view.html")
    address = (folder / "view.html").as_uri()
    page.requests.clear()
    page.errors.clear()
    page.resize(1200, 800)
    page.open("about:blank", "true")
    page.open(address + where, LOADED)
    assert [request for request in page.requests if request != "about:blank"] == [address]
    assert page.errors == []
    return address


def with_names(dataset: Dataset, names: list[str], folder: Path) -> Dataset:
    table = Table(names, dataset.originals, dataset.test, {})
    write_dataset(folder / "named", dataset.puzzle, table, np.asarray(dataset.symmetries), np.asarray(dataset.starts))
    return open_dataset(folder / "named")


def sudoku_6x6(folder: Path) -> Dataset:
    answer = "123456456123231564564231312645645312"
    rows = [f"{'.' * blanks}{answer[blanks:]},{answer}" for blanks in (5, 9)]
    return table_dataset(folder, Sudoku(box=(2, 3)), rows, variants=30)


def expected(dataset: Dataset, group: int, variant: int) -> list[list[list[list[int]]]]:
    """Question and answer of each example of a variant, train before test, as lists."""
    symmetry = dataset.symmetries[dataset.starts[group] + variant]
    pairs = []
    for split in (dataset.originals, dataset.test):
        rows = np.flatnonzero(split.groups == group)
        sides = as_variants(dataset.puzzle, split, rows, np.tile(symmetry, (len(rows), 1)))
        pairs += [[side.grid(row).tolist() for side in sides] for row in range(len(rows))]
    return pairs


IN_PAGE = """(() => {
  const list = ({height, width, cells}) =>
    Array.from({length: height}, (_, i) => Array.from(cells.subarray(i * width, (i + 1) * width)));
  return facts.names.map((_, group) => Array.from({length: variantsOf(group)}, (_, variant) => [
    examplesOf(group, variant).map(({question, answer}) => [list(question), list(answer)]), wordsOf(group, variant)]));
})()"""


def assert_same(page: Browser, dataset: Dataset, made_by: Dataset, most: int | None = None) -> None:
    """Every cell of every variant, and what was done to it."""
    groups = page.run(IN_PAGE)
    assert len(groups) == len(dataset.names)
    for group, variants in enumerate(groups):
        start, end = dataset.starts[group : group + 2]
        assert len(variants) == min(end - start, most or end - start)
        for variant, (examples, words) in enumerate(variants):
            assert examples == expected(made_by, group, variant)
            assert words == dataset.puzzle.describe(made_by.symmetries[start + variant])


@needs_browser
@pytest.mark.parametrize("kind", ["arc", "sudoku", "sudoku 6 x 6", "maze"])
def test_the_page_makes_the_variants_that_python_makes(kind: str, page: Browser, arc: Dataset, tmp_path: Path) -> None:
    make = {"arc": lambda _: arc, "sudoku": lambda at: sudokus(at, 40), "sudoku 6 x 6": sudoku_6x6, "maze": mazes}
    dataset = make[kind](tmp_path)
    open_view(page, dataset, tmp_path)
    assert_same(page, dataset, dataset)


@needs_browser
def test_a_kind_without_steps_has_its_first_variants_written_out(
    page: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Maze, "steps", ())
    monkeypatch.setattr(shown, "WRITTEN_OUT", 4)
    dataset = mazes(tmp_path)
    open_view(page, dataset, tmp_path)
    assert_same(page, dataset, dataset, most=4)
    assert page.run("document.querySelector('.bound').textContent") == (
        "Showing the first 4 of up to 6 variants of a group."
    )


@needs_browser
def test_a_published_folder_shows_its_own_training_examples(page: Browser, arc: Dataset, tmp_path: Path) -> None:
    """They lie anywhere on the canvas, and are shown as the grids that they are."""
    write_published(tmp_path / "published", arc)
    adopt(arc.puzzle, tmp_path / "published", tmp_path / "adopted")
    dataset = open_dataset(tmp_path / "adopted")
    open_view(page, dataset, tmp_path)
    assert_same(page, dataset, arc)


@needs_browser
def test_keys_move_through_groups_and_variants(page: Browser, arc: Dataset, tmp_path: Path) -> None:
    open_view(page, arc, tmp_path)

    def now() -> tuple[str, int]:
        return page.run("document.querySelector('#name').textContent"), page.run("now.variant")

    page.press("j", "ArrowDown", "k", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight")
    assert now() == ("bb", 2)
    assert page.run("cards.length") == 3
    assert page.run("document.querySelector('[aria-selected=true]').textContent") == "bb"
    words = arc.puzzle.describe(arc.symmetries[arc.starts[1] + 2])
    assert page.run("document.querySelector('#words').textContent") == f"Variant 2: {words}"
    page.wait("location.hash === '#bb/2'")
    page.press("Home", "ArrowUp", "ArrowUp", "ArrowUp")
    assert now() == ("aa", 0)
    page.press(*["ArrowRight"] * 9)
    assert now() == ("aa", 6), "the last one"
    assert page.run("document.querySelector('#next').disabled")

    page.press("?")
    assert page.run("document.querySelector('#keys').open")
    page.press("j", "Escape")
    assert now() == ("aa", 6)
    page.press("/", "E", "e")
    assert now() == ("ee", 0)
    assert page.run("document.querySelector('#found').textContent") == "1 of 5 groups"
    page.press("Escape", "j")
    assert now() == ("ee", 0), "the only one that is left"
    assert page.run("document.activeElement.id") == "list"
    page.run("location.hash = '#cc/3'")
    page.wait(f"now.variant === 3 && {LOADED}")
    assert now() == ("cc", 3)
    assert page.errors == []


@needs_browser
def test_a_hostile_name_is_only_text(page: Browser, arc: Dataset, tmp_path: Path) -> None:
    dataset = with_names(arc, HOSTILE, tmp_path)
    address = open_view(page, dataset, tmp_path)
    assert page.run("[...document.querySelectorAll('[role=option]')].map((row) => row.textContent)") == HOSTILE
    page.press("j", "j", "j", "ArrowRight")
    page.wait("location.hash.endsWith('/1')")
    link = page.run("location.href")
    page.open("about:blank", "true")
    page.open(link, LOADED)
    assert page.run("[document.querySelector('#name').textContent, now.variant]") == [HOSTILE[3], 1]
    page.open(f"{address}#%E0%A4%A/1", LOADED)  # no UTF-8
    assert page.run("document.title") == "named – ARC dataset"
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.errors == []


@needs_browser
def test_the_policy_lets_nothing_in_or_out(page: Browser, arc: Dataset, tmp_path: Path) -> None:
    open_view(page, arc, tmp_path)
    blocked = page.run("""new Promise((done) => {
      const found = [];
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
        if (found.push(effectiveDirective) === 3) done(found.sort());
      });
      fetch("http://127.0.0.1:9/").catch(() => 0);
      document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
      document.body.append(element("script", { textContent: "document.title = 'owned'" }));
    })""")
    assert blocked == ["connect-src", "img-src", "script-src-elem"]
    assert page.run("document.title") != "owned"


@needs_browser
def test_cells_have_the_colours_of_the_kind(page: Browser, arc: Dataset, tmp_path: Path) -> None:
    open_view(page, arc, tmp_path, "#bb/1")
    drawn = page.run("""(() => {
      const [{ variant }] = cards;
      const { width, height } = examplesOf(now.group, now.variant)[0].answer;
      const canvas = variant.canvases[1], pen = canvas.getContext("2d"), cell = (canvas.width - 2) / width;
      return Array.from({length: height}, (_, i) => Array.from({length: width}, (_, j) =>
        "#" + Array.from(pen.getImageData(1 + (j + .5) * cell, 1 + (i + .5) * cell, 1, 1).data.slice(0, 3),
          (part) => part.toString(16).padStart(2, "0")).join("")));
    })()""")
    answer = expected(arc, 1, 1)[0][1]
    assert drawn == [[arc.puzzle.legend.fills[value] for value in row] for row in answer]


CONTRAST = """(() => {
  const light = (text) => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * parts[0] + .7152 * parts[1] + .0722 * parts[2];
  };
  const behind = (one) => {
    const { backgroundColor } = getComputedStyle(one);
    return /, 0\\)/.test(backgroundColor) ? behind(one.parentElement) : backgroundColor;
  };
  const texts = [...document.querySelectorAll("h1, h2, h3, p, label, figcaption, [role=option], button:enabled")];
  return Math.min(...texts.map((one) => {
    const [dark, bright] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => a - b);
    return (bright + .05) / (dark + .05);
  }));
})()"""


@needs_browser
def test_light_dark_and_narrow(page: Browser, arc: Dataset, tmp_path: Path) -> None:
    open_view(page, arc, tmp_path, "#cc/2")
    grounds = []
    for scheme in ("light", "dark"):
        page.colours(scheme)
        grounds.append(page.run("getComputedStyle(document.body).backgroundColor"))
        assert page.run(CONTRAST) >= 4.5, "WCAG AA"
    assert grounds == ["rgb(250, 249, 246)", "rgb(22, 22, 20)"]
    page.resize(1200, 800)
    beside = "cards.every(({ original, variant }) => original.figure.offsetTop === variant.figure.offsetTop)"
    page.wait(beside)
    page.resize(360, 740)
    page.wait(f"!({beside})")
    assert page.run("document.documentElement.scrollWidth") <= 360
    unnamed = "[...document.querySelectorAll('.example canvas')].filter((one) => !one.ariaLabel).length"
    assert page.run(unnamed) == 0
    page.colours("light")


def many_groups(folder: Path, count: int) -> Dataset:
    """Mazes of walls only: nobody looks at them, there are only many."""
    grids = Grids(np.ones((count, 4, 4), np.uint8), np.full((count, 2), 4, np.uint8))
    train = Examples(grids, grids, np.arange(count), np.zeros(count, np.int64))
    test = replace(train.take(np.array([0])), groups=np.array([count]))
    symmetries, starts = np.zeros((count + 1, 1), np.uint8), np.arange(count + 2)
    names = [f"maze-{group}" for group in range(count + 1)]
    write_dataset(folder / "many", Maze(size=4), Table(names, train, test, {}), symmetries, starts)
    return open_dataset(folder / "many")


@needs_browser
def test_many_groups_are_a_bounded_stated_part_and_few_elements(page: Browser, tmp_path: Path) -> None:
    open_view(page, many_groups(tmp_path, 12_000), tmp_path)
    assert page.run("document.querySelector('.bound').textContent") == (
        "Showing 10,001 of 12,001 groups, the first of either split."
    )
    assert page.run("facts.names.at(-1)") == "maze-12000", "the test split is there, too"
    page.run("document.querySelector('#list').scrollTop = 36 * 5000")
    page.wait("document.querySelector('[role=option][aria-posinset=\"5001\"]')?.textContent === 'maze-5000'")
    assert page.run("document.querySelectorAll('[role=option]').length") < 50
    page.press("/", *"1234")
    assert page.run("document.querySelector('#name').textContent") == "maze-1234"


def test_variants_beyond_the_bound_are_left_out(arc: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "SYMMETRIES", 5 * 11 * 4)
    part = shown.shown(arc)
    assert np.diff(part.variant_starts).tolist() == [3] * 5
    assert part.variants.tolist() == [start + one for start in arc.starts[:-1] for one in range(3)]
    view(arc.path, tmp_path / "view.html")
    assert "Showing the first 3 of up to 7 variants of a group." in (tmp_path / "view.html").read_text("utf-8")


def test_the_same_dataset_gives_the_same_page(arc: Dataset, tmp_path: Path) -> None:
    for name in ("one", "two"):
        view(arc.path, tmp_path / name)
    text = (tmp_path / "one").read_text("utf-8")
    assert text == (tmp_path / "two").read_text("utf-8")
    assert arc.digest in text
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]
    assert len(re.findall(r"<script|</script|<style|</style", text)) == 2 * (1 + 2 + 7)
    assert all(base64.b64decode(data)[:2] == b"\x1f\x8b" for data in re.findall(r'gzip" id="[^"]+">([^<]*)<', text))


def test_no_dataset_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dataset here"):
        view(tmp_path, tmp_path / "view.html")
