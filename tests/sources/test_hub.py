"""Tables from a hub: a small server speaks the part of its protocol that a download needs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FILES = {"train.csv": b"source,question,answer,rating\na,b,c,1\n", "test.csv": b"source,question,answer,rating\n"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """`/datasets/<owner>/<name>/resolve/<revision>/<file>`, where the name says how it behaves."""

    def do_GET(self) -> None:
        _, _, owner, name, _, revision, file = self.path.split("/", 6)
        status, error, body = 200, "", FILES.get(file, b"")
        if owner != "puzzles" or (name == "private" and self.headers.get("Authorization") != "Bearer sesame"):
            status, error = 401, "RepoNotFound"
        elif name == "gated":
            status, error = 403, "GatedRepo"
        elif name == "forbidden":
            status = 403
        elif revision not in ("main", "v1"):
            status, error = 404, "RevisionNotFound"
        elif name == "half" and file == "test.csv":
            status, error = 404, "EntryNotFound"
        self.send_response(status)
        body = body if status == 200 else b""
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{file}-{revision}"', "Content-Length": str(len(body))}
        for key, value in (headers | ({"X-Error-Code": error} if error else {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


PROGRAM = """
import json, sys
from pathlib import Path
from hrm.errors import UserError
from hrm.sources import HubSource
for number, block in enumerate(json.loads(sys.argv[2])):
    into = Path(sys.argv[1]) / str(number)
    into.mkdir()
    try:
        HubSource.model_validate(block).fetch("mine", into)
        print("fetched", *sorted(path.name for path in into.iterdir()))
    except UserError as error:
        print(error)
from huggingface_hub import constants
assert constants.HF_HUB_DISABLE_TELEMETRY, "phones home only when asked to"
"""


def fetch(folder: Path, blocks: str, **environment: str) -> list[str]:
    """What each block of settings gives, in a fresh process: the hub's library reads the environment but once."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and key != "DO_NOT_TRACK"}
    clean |= {"HF_HOME": str(folder / "home"), "NO_PROXY": "*", **environment}
    command = [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM, str(folder), blocks]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_tables_and_refusals(endpoint: str, tmp_path: Path) -> None:
    blocks = """[
        {"repository": "puzzles/good"},
        {"repository": "puzzles/good", "revision": "v1"},
        {"repository": "puzzles/good", "revision": "v9"},
        {"repository": "puzzles/half"},
        {"repository": "puzzles/private"},
        {"repository": "puzzles/gated"},
        {"repository": "puzzles/forbidden"},
        {"repository": "nobody/nothing"},
        {"repository": "not a name"}
    ]"""
    where = "sources.mine: train.csv of"
    assert fetch(tmp_path, blocks, HF_ENDPOINT=endpoint) == [
        "fetched test.csv train.csv",
        "fetched test.csv train.csv",
        f"{where} puzzles/good at v9: no such revision; check the source's revision",
        "sources.mine: test.csv of puzzles/half at main: no such file in the repository; "
        "it must have train.csv and test.csv",
        f"{where} puzzles/private at main: no such data set repository, or a private one; "
        "check the name or set HF_TOKEN",
        f"{where} puzzles/gated at main: access is granted on request; ask for it on the repository's page "
        "and set HF_TOKEN",
        f"{where} puzzles/forbidden at main: the hub answered with status 403; check HF_TOKEN",
        f"{where} nobody/nothing at main: no such data set repository, or a private one; "
        "check the name or set HF_TOKEN",
        f"{where} not a name at main: not the name of a repository; expected owner/name",
    ]
    assert {file: (tmp_path / "0" / file).read_bytes() for file in FILES} == FILES


def test_token_and_offline(endpoint: str, tmp_path: Path) -> None:
    private = '[{"repository": "puzzles/private"}]'
    (tmp_path / "online").mkdir()
    assert fetch(tmp_path / "online", private, HF_ENDPOINT=endpoint, HF_TOKEN="sesame") == [
        "fetched test.csv train.csv"
    ]
    (tmp_path / "offline").mkdir()
    assert fetch(tmp_path / "offline", private, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1") == [
        f"sources.mine: train.csv of puzzles/private at main: {endpoint} cannot be reached; "
        "check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
    ]
