"""Settings are taken strictly, and explained in the words of the file they stand in."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hrm.config import BuildSettings, EvaluateSettings, ModelSettings, TrainSettings, VoteSettings
from hrm.errors import UserError
from hrm.settings import Settings, validate


class Block(Settings):
    number: float = 0
    count: int = 0
    pair: tuple[int, int] = (0, 0)
    place: Path = Path()
    text: str = ""
    flag: bool = False


def test_what_a_file_can_hold_becomes_what_a_setting_is() -> None:
    block = validate(Block, {"number": 3, "pair": [1, 2], "place": "a/b", "flag": True}, "file")
    assert block == Block(number=3.0, pair=(1, 2), place=Path("a/b"), flag=True)
    assert isinstance(block.number, float)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[(key, value) for key in ("number", "count") for value in (True, False, "1", None, [1], "")],
        *[("count", 1.0), ("count", float("inf")), ("number", float("nan")), ("pair", [1]), ("pair", [1, True])],
        *[("text", 3), ("text", True), ("place", 3), ("flag", 1), ("flag", "true"), ("flag", 0)],
    ],
)
def test_nothing_else_does(key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        validate(Block, {key: value}, "file")
    assert str(caught.value).startswith(f"file: {key}")


def test_a_message_stays_in_one_line() -> None:
    with pytest.raises(UserError) as caught:
        validate(Block, {"a\nb": "c\nd", "count": "e\nf"}, "file")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("hidden", "expansion"), [(2, 0.375), (64, 0.0117)])
def test_the_network_has_an_inner_width(hidden: int, expansion: float) -> None:
    with pytest.raises(ValidationError, match=f"hidden = {hidden} with expansion = {expansion}"):
        ModelSettings(hidden=hidden, heads=1, expansion=expansion)
    ModelSettings(hidden=hidden, heads=1, expansion=expansion * 1.01)


def test_python_gives_settings_as_python_does() -> None:
    assert TrainSettings(batch_size=64, processes=2).batch_size == 64
    assert VoteSettings(ks=(1,)).ks == (1,)


@pytest.mark.parametrize("name", ["../x", "/x", "", "a b", "a\n", ".x"])
def test_a_source_cannot_lead_out_of_its_folder(name: str) -> None:
    with pytest.raises(ValidationError, match="a name has only letters"):
        BuildSettings.model_validate({"puzzle": {"kind": "arc"}, "sources": [name]})


@pytest.mark.parametrize(("key", "value"), [("copies", 10**30), ("max_steps", 10**30), ("noise", 1e30)])
def test_a_number_that_would_overflow_is_refused(key: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"file: {key} = .*less than or equal to"):
        validate(EvaluateSettings, {key: value}, "file")
