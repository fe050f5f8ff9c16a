"""A stand-in for the server of W&B: as much of its protocol as the package `wandb` needs to send a run.

It keeps what arrives, by run, the way the real one does: lines of history by their offset, files by their names.
"""

import gzip
import json
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = {"id": "m", "file": {"id": "f"}}


class WandbServer:
    """What arrived."""

    def __init__(self) -> None:
        self.address = ""
        self.history: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        """By run and number of the line."""
        self.files: dict[str, bytes] = {}
        """By `<run>/<name>`, those of artifacts by `<artifact>/<name>`."""
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {"WANDB_BASE_URL": self.address, "WANDB_API_KEY": "k" * 40, "WANDB_MODE": "online"}

    def curve(self, run: str, metric: str) -> list[tuple[int, float]]:
        """The points of a run's metric."""
        return [(line["_step"], line[metric]) for _, line in sorted(self.history[run].items()) if metric in line]

    def summary(self, run: str) -> dict[str, Any]:
        """The last values of a run."""
        return dict(json.loads(self.files[f"{run}/wandb-summary.json"]))

    def answer(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        """To a request of GraphQL, known by the name that the package gives it."""
        name = query.split("(")[0].split("{")[0].split()[-1]
        known = {
            "Viewer": {
                "viewer": {"id": "u", "entity": "team", "username": "ann", "flags": "{}", "teams": {"edges": []}}
            },
            "ServerFeaturesQuery": {"serverInfo": {"features": []}},
            "ArtifactType": {"project": {"artifact": None}},
            "CreateArtifactManifest": {
                "createArtifactManifest": {"artifactManifest": {"id": "m", "file": {"id": "f"}}}
            },
        }
        if name in known:
            return known[name]
        method = getattr(self, f"_{name}", None)
        return {} if method is None else dict(method(given))

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = given["name"]
        self.configs[run] = {**self.configs.get(run, {}), **json.loads(given["config"] or "{}")}
        project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "team"}}
        bucket = {"id": run, "name": run, "displayName": "", "config": "{}", "project": project, "historyLineCount": 0}
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        lines = self.history.get(given["name"], {})
        tail = [json.dumps(lines[max(lines)])] if lines else []
        bucket = {
            "id": given["name"],
            "name": given["name"],
            "displayName": "",
            "tags": [],
            "summaryMetrics": "{}",
            "historyLineCount": len(lines),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps(tail),
            "eventsTail": "[]",
            "config": json.dumps(self.configs.get(given["name"], {})),
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "team"}, "bucket": bucket}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [
            {"name": name, "uploadUrl": f"{self.address}/storage/{given['run']}/{name}"} for name in given["files"]
        ]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = given["input"]["artifactCollectionName"]
        self.artifacts[name] = given["input"]
        made = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": made}}

    def _CreateArtifactFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        nodes = [
            {
                "storagePath": file["name"],
                "uploadHeaders": [],
                "artifact": {"id": file["artifactID"]},
                "uploadUrl": f"{self.address}/storage/{file['artifactID']}/{file['name']}",
            }
            for file in given["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def take(self, path: str, body: bytes) -> None:
        """A file, or lines of a run's history."""
        if path.startswith("/storage/"):
            self.files[path.removeprefix("/storage/")] = body
        elif path.endswith("/file_stream"):
            run, sent = path.split("/")[-2], json.loads(body).get("files", {}).get("wandb-history.jsonl", {})
            for number, line in enumerate(sent.get("content", ()), sent.get("offset", 0)):
                self.history[run][number] = json.loads(line)


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """It answers until the block ends; until then the package sends to no other."""
    kept = WandbServer()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            said: dict[str, Any] = {}
            if self.path == "/graphql":
                asked = json.loads(body)
                said = {"data": kept.answer(asked["query"], asked.get("variables") or {})}
            else:
                kept.take(self.path, body)
            content = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _forget()
    try:
        yield kept
    finally:
        _forget()
        server.shutdown()
        server.server_close()
        thread.join()


def _forget() -> None:
    """End the process that the package has sent from so far: it would go on with the address that it began with."""
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.teardown()
