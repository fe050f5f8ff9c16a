"""The pictures show what is compiled."""

import xml.etree.ElementTree as ElementTree

import pytest

from pipelines.catalogue import PIPELINES
from pipelines.compile import compiled
from pipelines.draw import FIGURES, steps, svg


@pytest.mark.parametrize("name", PIPELINES)
def test_the_pictures_are_current(name: str) -> None:
    text = (FIGURES / f"pipeline-{name}.svg").read_text()
    assert text == svg(name), "run `python -m pipelines draw`"
    shown = {element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")}
    assert {step.name for step in steps(compiled(name))} <= shown


def test_the_graph_is_that_of_the_chain() -> None:
    row = {step.name: step for step in steps(compiled("train"))}
    assert list(row) == ["resolve", "fetch", "build", "train", "evaluate", "vote", "register", "finish"]
    assert set(row["register"].artifacts) == {"build", "train", "evaluate", "vote"}
    assert row["train"].settings >= {"resolve"}
    assert [name for name, step in row.items() if step.kind == "gpu"] == ["train", "evaluate"]
    assert [name for name, step in row.items() if step.kind == "data"] == ["fetch", "build"]


def test_a_sweep_repeats_its_runs_and_chooses_of_all() -> None:
    row = {step.name: step for step in steps(compiled("sweep"))}
    assert list(row) == [
        "plan",
        "resolve",
        "fetch",
        "build",
        "train",
        "evaluate",
        "vote",
        "choose",
        "register",
        "finish",
    ]
    assert [name for name, step in row.items() if step.looped] == list(row)[1:7]
    assert set(row["choose"].artifacts) == {"build", "train", "evaluate", "vote"}
    assert set(row["register"].artifacts) == {"choose"}
    assert "plan" in row["resolve"].settings
