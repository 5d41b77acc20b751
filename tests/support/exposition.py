"""A small HTTP server for tests: serves texts by path, and keeps the headers of its requests.

Knows no metrics; `prometheus` scrapes it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.support.processes import LOOPBACK


@dataclass
class TextServer:
    """A running server, and the headers of all requests."""

    port: int
    requests: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{LOOPBACK}:{self.port}"


@contextmanager
def text_server(answer: Callable[[str, int], tuple[int, str]]) -> Iterator[TextServer]:
    """Serve what `answer` returns for a path and the number of the request: a status and a text."""
    seen: list[Mapping[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append({name.lower(): value for name, value in self.headers.items()})
            status, text = answer(self.path, len(seen))
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield TextServer(server.server_address[1], seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
