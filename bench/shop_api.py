"""The catalog of the shop workload: a small HTTP API, run as `python -m bench.shop_api PORT`.

It answers from memory on a lean protocol, so that the servers that ask it are the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import parse_qs, urlsplit

import httptools
import uvloop

from bench.contenders import PROJECT
from bench.server_process import free_port, wait_until_it_listens

PRICE = 9.95


class CatalogProtocol(asyncio.Protocol):
    """One keep-alive connection of a client of the catalog."""

    _transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self._target = self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body = json.dumps(_answer(self._target.decode(), self._body)).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)


def _answer(target: str, body: bytes) -> object:
    if body:
        order = json.loads(body)
        return {**order, "total": round(PRICE * order["quantity"], 2)}
    query = parse_qs(urlsplit(target).query)
    category, limit = query["category"][0], int(query["limit"][0])
    return [{"product": f"{category}-{number}", "price": PRICE + number} for number in range(limit)]


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(CatalogProtocol, "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def catalog() -> Iterator[str]:
    """Run the API in a process of its own, on the core of this one; yield its URL."""
    port = free_port()
    process = subprocess.Popen((sys.executable, "-m", "bench.shop_api", str(port)), cwd=PROJECT)
    try:
        wait_until_it_listens(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
