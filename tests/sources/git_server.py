"""A Git repository made here, and a server that gives it away over HTTP through Git's own `git http-backend`."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], env=os.environ | QUIET, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Add a commit with exactly these files to the repository in a folder, which is made if need be."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "rm", "-r", "-q", "--ignore-unmatch", ".")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=puzzles")
    return git(folder, "rev-parse", "HEAD")


class GitServer(ThreadingHTTPServer):
    """Speaks Git's HTTP protocol for the repositories below a folder."""

    folder: Path
    breaks = 0
    """How many packs from now on break off in the middle."""
    protocols = True
    """Whether it speaks the second protocol, in which any commit may be asked for."""
    asked: list[str]
    """The requests so far."""


class Backend(BaseHTTPRequestHandler):
    """What a web server does for a CGI program."""

    server: GitServer

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path, _, query = self.path.partition("?")
        given = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = os.environ | {
            **QUIET,
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if self.server.protocols else "",
        }
        # A refusal is told in the body, and by the exit status too.
        done = subprocess.run(["git", "http-backend"], input=given, env=environment, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if b"PACK" in body and self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, GitServer]]:
    """The address of a server for the repositories below a folder, and the server."""
    with GitServer(("127.0.0.1", 0), Backend) as server:
        server.folder, server.asked = folder, []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server
        finally:
            server.shutdown()
            thread.join()
