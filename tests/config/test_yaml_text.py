"""YAML is read as DVC reads it, and nothing that is no setting passes."""

from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.yaml_text import parse

SCALARS = (
    "1e-4 1e5 1E+3 -1e-3 1.0e-3 .5 5. +1 -0.0 0x10 0o17 017 -7 1_000 12:30 yes no on Off true FALSE null ~ .inf -.INF"
)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("text", [*SCALARS.split(), "", "a", "1e", "e5", "1.2.3", ".", "'1'", '"yes"', "!!str 1"])
def test_a_scalar_is_what_dvc_takes_it_for(text: str) -> None:
    ours, theirs = parse(f"k: {text}"), parse_yaml(f"k: {text}", "params.yaml")
    assert ours == theirs
    assert type(ours["k"]) is type(theirs["k"])


@given(JSON)
def test_it_reads_what_is_written(value: Any) -> None:
    assert parse(dumps_yaml({"k": value})) == {"k": value}


@pytest.mark.parametrize("key", ["k", "long_key"])
def test_aliases_and_merges_are_what_dvc_takes_them_for(key: str) -> None:
    """Own keys come first, then those of the blocks in their order, however deep the merged block stands."""
    text = f"""
        a: &a {{x: 1, {key}: 2}}
        d: {{e: &b {{<<: *a, {key}: 3}}}}
        c: {{<<: *b, z: 4}}
        f: {{z: 1, <<: [*a, *b], x: 5}}
        g: {{<<: [*b, *a]}}
        list: [*a, *a]
    """
    content = parse(text)
    assert content == parse_yaml(text, "params.yaml")
    assert (content["c"][key], content["f"], content["g"][key]) == (3, {"x": 5, key: 2, "z": 1}, 3)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}", "line 3: found duplicate key"),
        ("a: !!python/object/apply:os.system [true]", "python/object"),
        ("a: !mine 3", "!mine"),
        ("a: *nowhere", "line 1: found undefined alias"),
        ("a: [", "line 1: "),
        ("a: b: c", "line 1: "),
        ("--- a\n--- b", "line 2: "),
        ("a: @", "line 1: "),
        ("\x07", "special characters are not allowed"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_one_line(text: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text("ab:[]{}&*!<>|-?,'\"#\n 1.~%@`", max_size=25))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
