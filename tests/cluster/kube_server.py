"""A server that speaks the paths of the Kubernetes API which a launcher needs, over the state of a cluster."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kube_api import KubeApi, Pod
from trainer_objects import GROUP, NAMESPACE, RUNTIME

OBJECTS = rf"/apis/{GROUP}/v1alpha1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: KubeApi

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        path, query = self._asked()
        if self._is_refused():
            return
        if found := re.fullmatch(rf"{OBJECTS}/namespaces/{NAMESPACE}/trainjobs/(.+)", path):
            self._note("get", GROUP, "trainjobs")
            with self.api.changed:
                body = self.api.trainjobs.get(found[1])
                self._answer(200 if body else 404, body or {"message": "no such TrainJob"})
        elif re.fullmatch(rf"{OBJECTS}/namespaces/{NAMESPACE}/trainingruntimes/.+", path):
            self._note("get", GROUP, "trainingruntimes")
            self._answer(404, {"message": "no such TrainingRuntime"})
        elif found := re.fullmatch(rf"{OBJECTS}/clustertrainingruntimes/(.+)", path):
            self._note("get", GROUP, "clustertrainingruntimes")
            there = found[1] == RUNTIME["metadata"]["name"]
            self._answer(200 if there else 404, RUNTIME if there else {"message": "no such ClusterTrainingRuntime"})
        elif path == f"/api/v1/namespaces/{NAMESPACE}/pods":
            self._note("list", "", "pods")
            pods = self.api.selected(query["labelSelector"][0])
            self._answer(200, {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": pods})
        elif found := re.fullmatch(rf"/api/v1/namespaces/{NAMESPACE}/pods/(.+)/log", path):
            self._note("get", "", "pods/log")
            self._log(found[1], {key: value for key, (value,) in query.items()})
        elif path == "/api/v1/namespaces/kubeflow-system/configmaps/kubeflow-trainer-public":
            self._answer(200, {"metadata": {}, "data": {"kubeflow_trainer_version": "v2.3.0"}})  # everybody may read it
        else:
            self._note("get", "unexpected", path)
            self._answer(404, {"message": path})

    def do_POST(self) -> None:
        path, _ = self._asked()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert path == f"{OBJECTS}/namespaces/{NAMESPACE}/trainjobs", path
        self._note("create", GROUP, "trainjobs")
        self._answer(*self.api.create(body))

    def do_DELETE(self) -> None:
        path, query = self._asked()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.fullmatch(rf"{OBJECTS}/namespaces/{NAMESPACE}/trainjobs/(.+)", path)
        assert found is not None, path
        self._note("delete", GROUP, "trainjobs")
        self._answer(*self.api.delete(found[1], query))

    def _asked(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return parts.path, parse_qs(parts.query)

    def _is_refused(self) -> bool:
        if not self.api.refusals:
            return False
        self._answer(self.api.refusals.pop(0), {"message": "not now, or not for you"})
        return True

    def _note(self, verb: str, group: str, resource: str) -> None:
        self.api.calls.add((verb, group, resource))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _log(self, name: str, options: dict[str, str]) -> None:
        pod = next((pod for pod in self.api.pods if pod.name == name), None)
        if pod is None or pod.body["status"]["phase"] == "Pending":
            self._answer(400 if pod else 404, {"message": "container is waiting to start"})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        follow, stamped = options.get("follow") == "True", options.get("timestamps") == "True"
        oldest = time.time_ns() - int(options["sinceSeconds"]) * 10**9 if "sinceSeconds" in options else 0
        left = self._allowed_lines() if follow else -1
        for stamp, line in self._lines(pod, follow, int(options.get("tailLines", 0))):
            if stamp < oldest:
                continue
            if not left:
                self.close_connection = True  # in the midst of the stream
                return
            left -= 1
            self._chunk(f"{_rfc3339(stamp)} {line}\n" if stamped else f"{line}\n")
        self._chunk("")

    def _allowed_lines(self) -> int:
        with self.api.changed:
            self.api.streams += 1
            self.api.changed.notify_all()
            return self.api.cuts.pop(0) if self.api.cuts else -1

    def _lines(self, pod: Pod, follow: bool, tail: int) -> Iterator[tuple[int, str]]:
        done = 0 if not tail else max(0, len(pod.lines) - tail)
        while True:
            with self.api.changed:
                while follow and len(pod.lines) == done and not pod.is_over and pod in self.api.pods:
                    self.api.changed.wait()
                lines, over = pod.lines[done:], not follow or len(pod.lines) == done
            yield from lines
            if over:
                return
            done += len(lines)

    def _chunk(self, text: str) -> None:
        content = text.encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


def _rfc3339(stamp: int) -> str:
    seconds, nanoseconds = divmod(stamp, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


class _Server(ThreadingHTTPServer):
    def handle_error(self, *arguments: Any) -> None:
        """A client that is killed in the midst of an answer is no news."""


@contextmanager
def running_api(folder: Path) -> Iterator[tuple[KubeApi, Path]]:
    """The API, and a kubeconfig file that leads to it."""
    api = KubeApi()
    handler = type("Handler", (_Handler,), {"api": api})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    cluster = {"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}
    user = {"name": "test", "user": {"token": "test-token"}}
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "users": [user]}
    (folder / "kubeconfig").write_text(json.dumps({**config, "current-context": "test"}))
    try:
        yield api, folder / "kubeconfig"
    finally:
        server.shutdown()
        server.server_close()
        with api.changed:
            api.pods = []  # lets streams that follow a log end
            api.changed.notify_all()
