"""Tables from a hub: a small server speaks the part of its protocol that a download needs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HEADER = b"source,question,answer,rating\n"
FILES = {"train.csv": HEADER + b"".join(b"a,%06d,c,1\n" % row for row in range(300_000)), "test.csv": HEADER}
COMMIT, MOVED = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"


class HubServer(ThreadingHTTPServer):
    """What happened, and what the branch `main` is at."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hub)
        self.main = COMMIT
        self.asked: Counter[tuple[str, str]] = Counter()
        self.got: list[tuple[str, str, str | None]] = []


class Hub(BaseHTTPRequestHandler):
    """`/datasets/<owner>/<name>/resolve/<revision>/<file>`, where the name says how it behaves."""

    server: HubServer

    def do_GET(self) -> None:
        _, _, owner, name, _, revision, file = self.path.split("/", 6)
        self.server.asked[name, self.command] += 1
        if self.command == "GET":
            self.server.got.append((name, file, self.headers.get("Range")))
        commit = self.server.main if revision in ("main", "v1") else revision
        status, error = self._status(owner, name, revision, file)
        body = FILES.get(file, b"") if status == 200 else b""
        # As on the hub: SHA-256 for a large file, Git's SHA-1 for a small one.
        large = file == "train.csv"
        etag = hashlib.sha256(body) if large else hashlib.sha1(b"blob %d\0" % len(body) + body)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag.hexdigest()}"', "X-Linked-Size": str(len(body))}
        if self.command == "GET" and name == "damaged" and file == "train.csv":
            body = body.replace(b"000123", b"000124")
        if self.command == "GET" and name == "damaged-small" and file == "test.csv":
            body = body.replace(b"a", b"b")
        if self.command == "GET" and name == "short":
            body = body[:-9]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        start = 0 if name == "no-ranges" else start
        if status == 200 and start:
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
        body = body[start:]
        headers |= {"Content-Length": str(len(body))} | ({"X-Error-Code": error} if error else {})
        headers |= {"Retry-After": "0"} if status == 429 else {}
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            breaks = file == "train.csv" and name in ("breaking", "breaking-once", "no-ranges")
            self._send(body, breaks and (name == "breaking" or self.server.asked[name, "GET"] == 1))

    do_HEAD = do_GET

    def _status(self, owner: str, name: str, revision: str, file: str) -> tuple[int, str]:
        first = self.server.asked[name, self.command] == 1
        allowed = self.headers.get("Authorization") == "Bearer sesame"
        if owner != "puzzles" or (name == "private" and not allowed):
            return 401, "RepoNotFound"
        if name == "gated":
            return 403, "GatedRepo"
        if revision not in ("main", "v1", COMMIT, MOVED):
            return 404, "RevisionNotFound"
        if name == "half" and file == "test.csv":
            return 404, "EntryNotFound"
        fixed = {"forbidden": 403, "down": 503, "down-for-files": 500 if self.command == "GET" else 200}
        once = {"busy": 429, "stumbling": 500}
        return fixed.get(name, once.get(name, 200) if first else 200), ""

    def _send(self, body: bytes, breaks: bool) -> None:
        if not breaks:
            self.wfile.write(body)
            return
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, HubServer]]:
    with HubServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", server
        server.shutdown()
        thread.join()


PROGRAM = """
import json, logging, sys, time
from pathlib import Path
from hrm.errors import UserError
from hrm.progress import speak
from hrm.sources import HubSource, download
from hrm.stages.fetch import fetch
speak(logging.INFO)
download.PAUSES = (0.01, 0.01)
sleep, time.sleep = time.sleep, lambda seconds: sleep(min(seconds, 0.01))
for name, block in json.loads(sys.argv[2]).items():
    try:
        fetch({name: HubSource.model_validate(block)}, Path(sys.argv[1]))
        print("fetched")
    except UserError as error:
        print(error)
constants = sys.modules.get("huggingface_hub.constants")
assert constants is None or constants.HF_HUB_DISABLE_TELEMETRY, "phones home only when asked to"
"""


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """That of a fresh process: the hub's library reads its settings but once."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and key != "DO_NOT_TRACK"}
    return clean | {"HF_HOME": str(folder / "home"), "NO_PROXY": "*", **settings}


def fetched(raw: Path, blocks: Mapping[str, Any], **settings: str) -> tuple[list[str], str]:
    """What each block of settings gives, line by line; and the notes."""
    command = [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM, str(raw), json.dumps(blocks)]
    done = subprocess.run(command, env=environment(raw.parent, **settings), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "sesame" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines(), done.stderr


def names(raw: Path) -> list[str]:
    return sorted(path.name for path in raw.iterdir())


def is_whole(folder: Path) -> bool:
    return {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


def test_tables_and_refusals(hub: tuple[str, HubServer], tmp_path: Path) -> None:
    behaviours = ("good", "busy", "stumbling", "breaking-once", "no-ranges")
    good = {name: {"repository": f"puzzles/{name}"} for name in behaviours}
    bad = {
        "old": {"repository": "puzzles/good", "revision": "v9"},
        **{name: {"repository": f"puzzles/{name}"} for name in ("half", "private", "gated", "forbidden", "down")},
        "files": {"repository": "puzzles/down-for-files"},
        "nothing": {"repository": "nobody/nothing"},
        "wrong": {"repository": "not a name"},
        "damaged": {"repository": "puzzles/damaged"},
        "short": {"repository": "puzzles/short"},
        "small": {"repository": "puzzles/damaged-small"},
    }
    raw = tmp_path / "raw"
    lines, notes = fetched(raw, good | bad, HF_ENDPOINT=hub[0])
    assert lines[: len(good)] == ["fetched"] * len(good)
    private = "no such data set repository, or a private one; check the name or set HF_TOKEN"
    size = len(FILES["train.csv"])
    right = hashlib.sha256(FILES["train.csv"]).hexdigest()[:12]
    wrong = hashlib.sha256(FILES["train.csv"].replace(b"000123", b"000124")).hexdigest()[:12]
    assert [line.removeprefix("sources.") for line in lines[len(good) : -1]] == [
        "old: train.csv of puzzles/good at v9: no such revision; check the source's revision",
        "half: test.csv of puzzles/half at main: no such file in the repository; it must have train.csv and test.csv",
        f"private: train.csv of puzzles/private at main: {private}",
        "gated: train.csv of puzzles/gated at main: access is granted on request; ask for it on the repository's page "
        "and set HF_TOKEN",
        "forbidden: train.csv of puzzles/forbidden at main: the hub answered with status 403; check HF_TOKEN",
        "down: train.csv of puzzles/down at main: the hub answered with status 503; try again later",
        "files: train.csv of puzzles/down-for-files at main: the hub answered with status 500; try again later",
        f"nothing: train.csv of nobody/nothing at main: {private}",
        "wrong: train.csv of not a name at main: not the name of a repository; expected owner/name",
        f"damaged: train.csv of puzzles/damaged at main: the file that came is damaged (SHA-256 {wrong}, not {right}); "
        "fetch it again",
        f"short: train.csv of puzzles/short at main: the file that came is damaged ({size - 9} bytes, not {size}); "
        "fetch it again",
    ]
    assert "small: test.csv of puzzles/damaged-small at main: the file that came is damaged (SHA-1 " in lines[-1]
    assert all(is_whole(raw / name) for name in good)
    assert not [name for name in bad if (raw / name).exists() or (raw / f"{name}.source.json").exists()]
    assert not list((raw / ".damaged.download").iterdir())
    assert "status 503; trying again in" in notes
    ranges = [asked for name, file, asked in hub[1].got if name == "breaking-once" and file == "train.csv"]
    assert ranges == ["bytes=0-", f"bytes={1 << 20}-"]


def test_the_next_run_goes_on_where_one_broke_off(hub: tuple[str, HubServer], tmp_path: Path) -> None:
    raw, block = tmp_path / "raw", {"mine": {"repository": "puzzles/breaking"}}
    lines, _ = fetched(raw, block, HF_ENDPOINT=hub[0])
    assert lines[0].startswith(f"sources.mine: train.csv of puzzles/breaking at main: no connection to {hub[0]} (peer")
    assert lines[0].endswith("; check the network and HF_ENDPOINT, and try again")
    assert names(raw) == [".mine.download"]
    there = (raw / ".mine.download" / f"train.csv.{COMMIT}").read_bytes()
    assert len(there) == 2 << 20, "whole pieces of three attempts, which got half of what was left each"
    assert FILES["train.csv"].startswith(there)
    hub[1].got.clear()
    block["mine"]["repository"] = "puzzles/good"
    assert fetched(raw, block, HF_ENDPOINT=hub[0])[0] == ["fetched"]
    assert hub[1].got == [("good", "train.csv", f"bytes={2 << 20}-"), ("good", "test.csv", "bytes=0-")]
    assert is_whole(raw / "mine")
    assert names(raw) == ["mine", "mine.source.json"]


def test_the_record_and_a_branch_that_moves(hub: tuple[str, HubServer], tmp_path: Path) -> None:
    address, server = hub
    raw, main, fixed = tmp_path / "raw", {"mine": {"repository": "puzzles/good"}}, {"repository": "puzzles/good"}
    fixed["revision"] = COMMIT
    assert fetched(raw, main, HF_ENDPOINT=address)[0] == ["fetched"]
    record = json.loads((raw / "mine.source.json").read_text())
    assert (record["version"], record["settings"]["revision"]) == (COMMIT, "main")
    # The hub is not needed for what is there.
    for settings in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        lines, notes = fetched(raw, main, **settings)
        assert (lines, "already fetched" in notes) == (["fetched"], True)
    server.main = MOVED
    lines, notes = fetched(raw, main, HF_ENDPOINT=address)
    assert (lines, "differs from" in notes) == (["fetched"], True)
    assert json.loads((raw / "mine.source.json").read_text())["version"] == MOVED
    # A commit is never asked about.
    assert fetched(raw, {"fixed": fixed}, HF_ENDPOINT=address)[0] == ["fetched"]
    before = server.asked.total()
    assert "already fetched" in fetched(raw, {"fixed": fixed}, HF_ENDPOINT=address)[1]
    assert server.asked.total() == before


def test_token_and_no_hub(hub: tuple[str, HubServer], tmp_path: Path) -> None:
    private = {"mine": {"repository": "puzzles/private"}}
    assert fetched(tmp_path / "a", private, HF_ENDPOINT=hub[0], HF_TOKEN="sesame")[0] == ["fetched"]
    where = "sources.mine: train.csv of puzzles/private at main:"
    assert fetched(tmp_path / "b", private, HF_ENDPOINT=hub[0], HF_HUB_OFFLINE="1", HF_TOKEN="sesame")[0] == [
        f"{where} {hub[0]} cannot be reached; unset HF_HUB_OFFLINE, or use a folder"
    ]
    (line,) = fetched(tmp_path / "c", private, HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="sesame")[0]
    assert line.startswith(f"{where} no connection to http://127.0.0.1:9 (")
    # The wrong token is not shown either.
    assert (
        "check the name or set HF_TOKEN"
        in fetched(tmp_path / "d", private, HF_ENDPOINT=hub[0], HF_TOKEN="sesame2")[0][0]
    )


def test_what_is_no_hub(tmp_path: Path) -> None:
    class Silent(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        lines, _ = fetched(tmp_path / "raw", {"mine": {"repository": "puzzles/good"}}, HF_ENDPOINT=address)
        server.shutdown()
        thread.join()
    assert lines == [
        f"sources.mine: train.csv of puzzles/good at main: {address} does not answer as a hub does; check HF_ENDPOINT"
    ]
