"""A server in front of another one that lets requests through and loses answers."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LENGTHS = ("transfer-encoding", "content-length")


@contextmanager
def lossy_proxy(target: int, loses: Callable[[str, int], bool]) -> Iterator[int]:
    """Its port, until the block ends.

    Args:
        target: the port of the server behind it, on this machine.
        loses: told the method and path of a request and how often it came before, whether its answer is lost: the
            server has executed it, and the client sees the connection close.
    """
    seen: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.body()
            headers = {name: value for name, value in self.headers.items() if name.lower() not in LENGTHS}
            behind = http.client.HTTPConnection("127.0.0.1", target, timeout=60)
            behind.request(self.command, self.path, body, headers)
            answer = behind.getresponse()
            content = answer.read()
            behind.close()
            request = f"{self.command} {self.path.split('?')[0]}"
            seen[request] += 1
            if loses(request, seen[request] - 1):
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in (*LENGTHS, "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = b""
            while length := int(self.rfile.readline(), 16):
                content += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return content

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
