"""The params file as a whole: what is not one is told in one line."""

from pathlib import Path

import pytest

from hrm.config import load_experiment, read_params, run_list
from hrm.errors import UserError

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("run: [", "not valid YAML"),
        ("[]", "expected the keys"),
        ("run: x\nsources: {}\nexperiments: {}", "run: expected a list"),
        ("run: []\nsources: {}\nexperiments: {}\nextra: 1", "extra: no such key"),
        ("run: []\nsources: {}\nexperiments: {a: 3}", "experiments.a: expected a mapping"),
    ],
)
def test_a_broken_params_file_is_one_line(tmp_path: Path, content: str, part: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(UserError) as caught:
        load_experiment("a", tmp_path / "params.yaml")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_params_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--params FILE"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "expected the keys"),
        (b"# nothing\n", "expected the keys"),
        (b"run: []\nsources: {}\nexperiments: {\xe9: 3}", "UTF-8"),
        ("run: []".encode("utf-16"), "UTF-8"),
        (bytes(range(256)), "UTF-8"),
        (b"run: \x00\x01", "not valid YAML"),
        (b"run: []\nsources: {}\nrun: []\nexperiments: {}", 'line 3: found duplicate key "run"'),
        (b'"a\\nb": 1\nrun: []\nsources: {}\nexperiments: {}', "a b: no such key"),
        (b"run: []\nsources: {}\nexperiments: {1: {}}", "experiments: 1: a name is text"),
        (b"run: []\nsources: null\nexperiments: {}", "sources: expected a mapping"),
    ],
)
def test_bytes_that_are_no_params_file_are_one_line(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_params(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_params_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_params(tmp_path)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_the_line_ends_of_windows_change_nothing(
    tmp_path: Path, mark: bytes, newline: bytes
) -> None:
    (tmp_path / "params.yaml").write_bytes(mark + PARAMS.read_bytes().replace(b"\n", newline))
    assert read_params(tmp_path / "params.yaml") == read_params(PARAMS)


@pytest.mark.parametrize("entry", ["nowhere", "3", "null", "[a]", "../a"])
def test_what_is_run_is_in_the_catalogue(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"run: [a, {entry}]\nsources: {{}}\nexperiments: {{a: {{}}}}")
    with pytest.raises(UserError, match=r"run: .* is not under experiments: a"):
        run_list(path)


def test_what_yaml_has_and_json_has_not(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("run: []\nsources: {}\nexperiments: {a: {date: 2026-01-01}}")
    assert read_params(path)["experiments"] == {"a": {"date": "2026-01-01"}}
    for inner in ("&x {y: *x}", "{[1]: 2}"):
        path.write_text(f"run: []\nsources: {{}}\nexperiments: {{a: {inner}}}")
        with pytest.raises(UserError, match=r"params\.yaml: holds what JSON cannot") as caught:
            read_params(path)
        assert "\n" not in str(caught.value)
