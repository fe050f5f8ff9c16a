from pathlib import Path

import pytest

from hrm.artifacts import copied, digest, read_json, write_json, written_beside
from hrm.errors import UserError


def test_a_file_appears_only_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file.txt"
    with pytest.raises(RuntimeError), written_beside(target) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert not target.exists()
    with written_beside(target) as beside:
        beside.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [file.name for file in target.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_keeps_the_old_folder_and_a_good_one_replaces_it(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for content in ("old", "new"):
        with written_beside(target) as beside:
            beside.mkdir()
            (beside / "file").write_text(content)
    assert (target / "file").read_text() == "new"
    with pytest.raises(RuntimeError), written_beside(target) as beside:
        beside.mkdir()
        raise RuntimeError
    assert (target / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_json_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.json: no such file"):
        read_json(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text('{"a":')
    with pytest.raises(UserError, match=r"bad\.json: not valid JSON"):
        read_json(tmp_path / "bad.json")
    write_json(tmp_path / "good.json", {"b": 1, "a": 2})
    assert list(read_json(tmp_path / "good.json")) == ["b", "a"]


def test_digest_depends_on_content_and_names_alone(tmp_path: Path) -> None:
    for folder, order in (("one", "ab"), ("two", "ba")):
        for name in order:
            (tmp_path / folder / "inner").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "inner" / name).write_text(name)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    (tmp_path / "two/inner/b").rename(tmp_path / "two/inner/c")
    assert digest(tmp_path / "one") != digest(tmp_path / "two")


def test_what_a_killed_process_left_is_recovered(tmp_path: Path) -> None:
    """Killed between the two renames of a folder: the next writer finds the old one again, and no litter stays."""
    target, old, part = tmp_path / "folder", tmp_path / ".folder.old", tmp_path / ".folder.part"
    for path in (old, part):
        path.mkdir()
        (path / "file").write_text(path.suffix)
    with pytest.raises(RuntimeError), written_beside(target):
        assert (target / "file").read_text() == ".old"
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_of_another_kind_is_never_replaced(there: str, tmp_path: Path) -> None:
    """A folder in the place of a file may hold anything."""
    target = tmp_path / "target"
    if there == "folder":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.touch()
    with pytest.raises(UserError, match=f"a {there} is in the place of a"), written_beside(target) as beside:
        if there == "file":
            beside.mkdir()
        else:
            beside.touch()
    assert target.is_dir() == (there == "folder")
    assert (target / "mine").exists() == (there == "folder")


def test_a_copy_does_not_take_in_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/curves.csv").symlink_to(tmp_path / "secret")
    copied(tmp_path / "artifact", tmp_path / "copy")
    assert (tmp_path / "copy/curves.csv").is_symlink()
