"""DVC as docs/data.md shows it: a bucket on a real S3 server between two clones, and folders from outside.

The page's commands are run, not retyped; what stands there for a user's own names is replaced.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from s3_server import S3Server
from small_clone import ROOT, commit, make_project, run, small_params

PAGE = (ROOT / "docs/data.md").read_text()
TASK = {"train": [{"input": [[1, 2]], "output": [[3]]}], "test": [{"input": [[4]], "output": [[5]]}]}
SKIPPED = "Stage '{}' didn't change, skipping"


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """No credentials but those that a test gives; a name for commits."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, "/nonexistent")
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "a")
            patch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
        yield patch


def commands(heading: str, names: Mapping[str, str]) -> list[list[str]]:
    """The commands of the page's shell blocks below a heading, with other names in the place of the page's."""
    section = PAGE.split(f"# {heading}\n")[1].split("\n#")[0]
    text = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    for name, other in names.items():
        assert name in text, f"{name}: not in the commands below {heading}"
        text = text.replace(name, other)
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def contents(folder: Path, *names: str) -> dict[str, str]:
    """The digest of each file below folders, by path."""
    files = [file for name in names for file in sorted((folder / name).rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def project(folder: Path, **builds: dict[str, Any]) -> Path:
    """A project with `sudoku-mini` alone under `run:`, or with experiments of these `build` blocks in its place."""
    params = small_params()
    params["run"] = list(builds) or ["sudoku-mini"]
    params["sources"]["mine"] = {"origin": "folder", "kind": "arc", "path": "external/concept-arc"}
    params["experiments"] |= {name: {**params["experiments"]["sudoku-mini"], "build": b} for name, b in builds.items()}
    make_project(folder, params)
    return folder


class Pushed(NamedTuple):
    folder: Path
    bucket: str
    said: list[str]
    """What each command printed."""


@pytest.fixture(scope="module")
def pushed(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    """A clone that built a dataset and pushed it."""
    one, bucket = project(tmp_path_factory.mktemp("pushed")), s3.fresh_bucket()
    names = {"BUCKET": bucket, "https://s3.example.org": s3.endpoint, "KEY": s3.key, "SECRET": s3.secret}
    return Pushed(one, bucket, [run(one, *words) for words in commands("Push", names)])


@pytest.fixture
def other(s3: S3Server, pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another clone, fresh, which finds its credentials in the environment."""
    run(tmp_path, "git", "clone", "-q", pushed.folder, "other")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret)
    return tmp_path / "other"


def test_credentials_are_in_no_commit_and_no_output(s3: S3Server, pushed: Pushed) -> None:
    assert not run(pushed.folder, "git", "status", "--porcelain")
    told = "\n".join([*pushed.said, run(pushed.folder, "git", "log", "--all", "--patch")])
    assert s3.endpoint in told
    assert not any(word in told for word in (s3.key, s3.secret))


def test_a_fresh_clone_pulls_what_another_built(pushed: Pushed, other: Path) -> None:
    said = [run(other, *words) for words in commands("Pull", {})]
    built = contents(pushed.folder, "data")
    assert {"data/raw/sudoku-4x4/train.csv", "data/built/sudoku-mini/dataset.json"} < built.keys()
    assert contents(other, "data") == built
    for stage in ("fetch", "build@sudoku-mini"):
        assert SKIPPED.format(stage) in said[-1]
    assert "Running stage" not in said[-1]
    assert "up to date" in run(other, "dvc", "status", "build@sudoku-mini")


def test_garbage_goes_and_what_is_used_stays(s3: S3Server, pushed: Pushed, other: Path) -> None:
    """What goes is a dataset of settings that were never committed, pushed by mistake."""

    def objects() -> set[str]:
        return {item["Key"] for item in client.list_objects_v2(Bucket=pushed.bucket)["Contents"]}

    for words in commands("Pull", {}):
        run(other, *words)
    with closing(s3.client()) as client:
        needed = objects()
        params = yaml.safe_load((other / "params.yaml").read_text())
        params["experiments"]["sudoku-mini"]["build"]["variants"] = 3
        (other / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        run(other, "dvc", "repro", "build@sudoku-mini")
        run(other, "dvc", "push")
        assert objects() > needed
        run(other, "git", "checkout", "--quiet", ".")
        run(other, "dvc", "checkout", "--quiet", "build@sudoku-mini")
        for words in commands("What nobody needs any more", {}):
            run(other, *words, "--force")
        assert objects() == needed
    assert len(contents(other, ".dvc/cache/files")) == len(needed)
    assert contents(other, "data") == contents(pushed.folder, "data")


def concepts(folder: Path) -> list[str]:
    """A repository of a few ARC tasks, and its two commits, of which the second has another task."""
    folder.mkdir()
    run(folder, "git", "init", "-q")
    commits = []
    for names in (["training/a", "evaluation/b"], ["training/c"]):
        for name in names:
            file = folder / "corpus" / f"{name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(TASK))
        commit(folder, "tasks")
        commits.append(run(folder, "git", "rev-parse", "HEAD").strip())
    return commits


def test_a_repository_is_imported_at_a_commit(tmp_path: Path) -> None:
    first, second = concepts(tmp_path / "origin")
    one = project(tmp_path / "one", tiny={"puzzle": {"kind": "arc"}, "sources": ["mine"]})
    names = {"https://github.com/victorvikram/ConceptARC": str(tmp_path / "origin"), "b22ef52": first[:7]}
    for words in commands("A repository at a commit", names):
        run(one, *words)
    assert not run(one, "git", "status", "--porcelain")
    imported = contents(one, "external/concept-arc")
    assert list(imported) == [f"external/concept-arc/{name}.json" for name in ("evaluation/b", "training/a")]
    pinned = yaml.safe_load((one / "external/concept-arc.dvc").read_text())
    assert pinned["deps"][0]["repo"]["rev_lock"] == first
    run(one, "dvc", "repro", "build@tiny")
    assert (one / "data/built/tiny/dataset.json").is_file()
    commit(one, "built")

    run(tmp_path, "git", "clone", "-q", one, tmp_path / "other")
    run(tmp_path / "other", "dvc", "pull", "external/concept-arc.dvc")
    assert contents(tmp_path / "other", "external/concept-arc") == imported

    run(one, "dvc", "update", "--rev", second, "external/concept-arc.dvc")
    said = run(one, "dvc", "repro", "build@tiny")
    assert "Running stage 'build@tiny'" in said
    assert (one / "data/raw/mine/training/c.json").is_file()


@pytest.fixture
def published(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose only experiment, `theirs`, reads a folder in the published layout; pushed."""
    block = {"puzzle": {"kind": "sudoku", "box": [2, 2]}, "published": "external/theirs"}
    one = project(tmp_path / "one", theirs=block)
    for words in (["fetch", "sudoku-mini"], ["build", "sudoku-mini"]):
        run(one, "hrm", *words)
    run(one, "hrm", "data", "export", "data/built/sudoku-mini", "--layout", "published", "--out", "external/theirs")
    shutil.rmtree(one / "data")  # there are no sources
    run(one, "dvc", "remote", "add", "--default", "bucket", f"s3://{s3.fresh_bucket()}")
    run(one, "dvc", "remote", "modify", "bucket", "endpointurl", s3.endpoint)
    run(one, "git", "add", ".dvc/config")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret)
    for words in commands("A folder of your own", {}):
        run(one, *words)
    return one


def test_a_published_folder_travels_and_a_change_in_it_is_noticed(published: Path, tmp_path: Path) -> None:
    assert not run(published, "git", "status", "--porcelain")
    before = contents(published, "data", "external/theirs")
    run(tmp_path, "git", "clone", "-q", published, "other")
    other = tmp_path / "other"
    run(other, "dvc", "pull", "--with-deps", "build@theirs")
    assert contents(other, "data", "external/theirs") == before
    assert SKIPPED.format("build@theirs") in run(other, "dvc", "repro", "build@theirs")

    tokens = other / "external/theirs/train/all__inputs.npy"
    content = bytearray(tokens.read_bytes())
    content[-1] = 1 if content[-1] != 1 else 2
    tokens.write_bytes(content)
    assert "Running stage 'build@theirs'" in run(other, "dvc", "repro", "build@theirs")
    changed = {name for name, digest in contents(other, "data").items() if digest != before[name]}
    assert {f"data/built/theirs/{name}" for name in ("dataset.json", "train/inputs.npy")} <= changed
