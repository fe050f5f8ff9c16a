"""`docs/new_puzzle.md` quotes the code, the settings and the picture as they are."""

import re
from pathlib import Path

import pytest

from hrm.cli import parser
from hrm.config import read_params
from hrm.puzzles import puzzle_from
from hrm.puzzles.light_up import BULB, Solver

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/new_puzzle.md").read_text()
QUOTED = {
    "python": ["hrm/puzzles/light_up.py", "hrm/puzzles/__init__.py"],
    "yaml": ["params.yaml"],
}


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize(
    ("language", "block"), [(language, block) for language in QUOTED for block in blocks(language)]
)
def test_every_quotation_is_in_its_file(language: str, block: str) -> None:
    assert any(f"\n{block}" in (ROOT / file).read_text() for file in QUOTED[language]), block


def test_the_commands_are_the_stages_of_the_experiment() -> None:
    for block in blocks("sh"):
        for line in block.splitlines():
            assert parser().parse_args(line.split()[1:]).experiment == "light-up-mini"


def test_the_pictures_show_the_puzzle_of_the_page_and_its_solution() -> None:
    puzzle = puzzle_from(read_params(ROOT / "params.yaml")["experiments"]["light-up-mini"]["build"]["puzzle"], "here")
    (text,) = blocks("text")
    question = puzzle.parse(text)
    (bulbs,) = Solver(question).solutions()
    answer = question.copy()
    answer.flat[[cell for cell in range(question.size) if bulbs >> cell & 1]] = BULB
    drawn = {"question": puzzle.draw(question), "answer": puzzle.draw(answer, question)}
    for name, svg in drawn.items():
        assert f'src="img/light_up_{name}.svg"' in PAGE
        assert (ROOT / f"docs/img/light_up_{name}.svg").read_text() == svg
