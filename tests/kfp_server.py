"""A server that speaks the REST API of Kubeflow Pipelines 2 as far as `pipelines` uses it, on a free port.

It keeps experiments, runs and recurring runs, refuses what the real one refuses with the same JSON, and is as reticent:
a run's details are the nodes of a workflow, times that are not known are 1970, and of failures it knows no reason.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

API = "/apis/v2beta1"
UNKNOWN = "1970-01-01T00:00:00Z"
START = 1_750_000_000
"""When the first run was created, in seconds since 1970."""


def at(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + seconds))


def node(name: str, state: str, start: int | None = None, end: int | None = None, **more: Any) -> dict[str, Any]:
    """A node of a workflow, as the server tells of it."""
    times = {"start_time": UNKNOWN if start is None else at(start), "end_time": UNKNOWN if end is None else at(end)}
    return {"display_name": name, "state": state, "create_time": at(0), **times, **more}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Refused(Exception):  # noqa: N818
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.content = status, {"error": message, "code": code, "message": message, "details": []}


@dataclass
class KfpServer:
    """What the server holds, what it was asked, and how it shall behave."""

    port: int = 0
    scheme: str = "http"
    multi_user: bool = False
    token: str = ""
    """The one it accepts; any or none when empty."""
    course: list[dict[str, Any]] = field(default_factory=list)
    """What becomes of each new run: fields that change from one look at it to the next."""
    away: int = 0
    """So many looks at a run are answered with 503."""
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    _looks: dict[str, int] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def answer(self, request: Request) -> dict[str, Any]:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, 16, "Unauthenticated: Request header error: there is no valid token")
        path = request.path.removeprefix(API)
        if (request.method, path) == ("GET", "/healthz"):
            return {"multi_user": self.multi_user}
        match = re.fullmatch(r"/(experiments|runs|recurringruns)(?:/([^/]+))?", path)
        if not match or not request.path.startswith(API):
            raise Refused(404, 5, "Not Found")
        kind, identity = match.groups()
        if request.method == "POST":
            return {"experiments": self._experiment, "runs": self._run, "recurringruns": self._recurring}[kind](
                request.body
            )
        return self._look(identity) if identity else self._list(kind, request.query)

    def _list(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        if self.multi_user != bool(query.get("namespace")):
            raise Refused(400, 3, "Invalid input error: a namespace is needed in multi-user mode and refused in single")
        things = list(
            {"experiments": self.experiments, "runs": self.runs, "recurringruns": self.recurring}[kind].values()
        )
        for predicate in json.loads(query.get("filter", "{}")).get("predicates", []):
            assert predicate["operation"] == 1
            things = [thing for thing in things if thing[predicate["key"]] == predicate["stringValue"]]
        if query.get("sort_by") == "created_at desc":
            things.reverse()
        things = things[: int(query.get("page_size", 10))]
        return {kind if kind != "recurringruns" else "recurringRuns": things} if things else {}

    def _experiment(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.multi_user != bool(body.get("namespace")):
            raise Refused(400, 3, "Invalid input error: a namespace is needed in multi-user mode and refused in single")
        identity = f"experiment-{len(self.experiments) + 1}"
        self.experiments[identity] = {**body, "experiment_id": identity, "created_at": at(0)}
        return self.experiments[identity]

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        self._accepted(body)
        identity = f"run-{len(self.runs) + 1}"
        start = {"run_id": identity, "created_at": at(len(self.runs)), "finished_at": UNKNOWN, "state": "PENDING"}
        self.runs[identity] = {**body, **start}
        return self.runs[identity]

    def _recurring(self, body: dict[str, Any]) -> dict[str, Any]:
        self._accepted(body)
        if len(body["trigger"]["cron_schedule"]["cron"].split()) != 6:
            raise Refused(400, 3, "Invalid input error: Schedule cron is not a supported format")
        identity = f"recurring-{len(self.recurring) + 1}"
        self.recurring[identity] = {**body, "recurring_run_id": identity}
        return self.recurring[identity]

    def _accepted(self, body: dict[str, Any]) -> None:
        """Refuse what the real server could not start: a broken pipeline, or parameters that do not fit it."""
        if body["experiment_id"] not in self.experiments:
            raise Refused(404, 5, "ResourceNotFoundError: Experiment not found")
        try:
            spec = pipeline_spec_of(body)
        except json_format.ParseError as error:
            raise Refused(400, 3, f"Invalid input error: invalid pipeline spec: {error}") from None
        defined = spec.root.input_definitions.parameters
        given = body["runtime_config"].get("parameters", {})
        for name in given:
            if name not in defined:
                raise Refused(400, 3, f"Invalid input error: unknown parameter {name}")
        for name, definition in defined.items():
            if name not in given and not definition.HasField("default_value") and not definition.is_optional:
                raise Refused(400, 3, f"Invalid input error: parameter {name} is missing")

    def _look(self, identity: str) -> dict[str, Any]:
        if identity not in self.runs:
            raise Refused(404, 5, f"Failed to get a run: ResourceNotFoundError: Run {identity} not found")
        if self.away:
            self.away -= 1
            raise Refused(503, 14, "upstream connect error")
        look = self._looks.get(identity, 0)
        self._looks[identity] = look + 1
        if self.course:
            self.runs[identity] |= self.course[min(look, len(self.course) - 1)]
        return self.runs[identity]


def pipeline_spec_of(body: dict[str, Any]) -> pipeline_spec_pb2.PipelineSpec:
    """The pipeline in a request, read as the server reads it."""
    package = body["pipeline_spec"]
    if "platform_spec" in package:
        json_format.ParseDict(package["platform_spec"], pipeline_spec_pb2.PlatformSpec())
    return json_format.ParseDict(package.get("pipeline_spec", package), pipeline_spec_pb2.PipelineSpec())


@dataclass
class OtherServer:
    """A server that is something else: the same answer to everything."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running(server: KfpServer | OtherServer, context: Any = None) -> Iterator[Any]:
    """The server in a thread, until the block ends; with TLS where a context is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, body)
            server.requests.append(request)
            if isinstance(server, OtherServer):
                time.sleep(server.delay)
                self.reply(server.status, server.content, server.headers)
                return
            try:
                status, content = 200, server.answer(request)
            except Refused as refused:
                status, content = refused.status, refused.content
            self.reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

        do_GET = do_POST = handle_request

        def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *arguments: Any) -> None:
            """A client that hung up is what some tests are about."""

    httpd = Quiet(("127.0.0.1", 0), Handler)
    if context:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    server.port = httpd.server_port
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
