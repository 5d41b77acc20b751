"""The bank: a service of somebody else, without instrumentation, whose delay and refusals can be set while it runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.support.processes import LOOPBACK
from tests.support.request_body import request_body

_USUAL = 0.005


@dataclass
class Bank:
    """A running bank: its address, the seconds that an answer takes, and of how many requests it answers one."""

    url: str = ""
    seconds: float = _USUAL
    one_of: int = 1

    def recover(self) -> None:
        """Answer all requests at the usual speed."""
        self.seconds, self.one_of = _USUAL, 1


@contextmanager
def running_bank() -> Iterator[Bank]:
    """Yield a bank that answers until the end of the block."""
    bank = Bank()
    asked = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal asked
            asked += 1
            request_body(self)
            time.sleep(bank.seconds)
            self.send_response(503 if asked % bank.one_of else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # the name in the base class
            """Log nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        bank.url = f"http://{LOOPBACK}:{server.server_port}"
        try:
            yield bank
        finally:
            server.shutdown()
            thread.join()
