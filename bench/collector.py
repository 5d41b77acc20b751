"""Telemetry collectors for the server under test: one that accepts everything, one that never answers, and none.

They run on the generator's core. They decode nothing, because the work of a collector is not measured.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import cast

import uvloop

from bench.contenders import PROJECT
from bench.server_process import free_port, wait_until_it_listens

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"


class Collector(StrEnum):
    """The behaviour of a collector."""

    TAKES = "takes"
    SILENT = "silent"
    REFUSED = "refused"

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the collector for the duration of the block, and yield its URL."""
        port = free_port()
        if self is Collector.REFUSED:
            yield f"http://127.0.0.1:{port}"
            return
        line = [sys.executable, "-m", "bench.collector", self.value, str(port)]
        with subprocess.Popen(line, cwd=PROJECT) as process:
            wait_until_it_listens(process, port)
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.kill()


class _Taking(asyncio.Protocol):
    """Answers each request when its body is complete."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._head = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # a class of uvloop

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        while data:
            if self._left:
                taken = min(self._left, len(data))
                self._left, data = self._left - taken, data[taken:]
            else:
                self._head += data
                head, end, data = self._head.partition(b"\r\n\r\n")
                if not end:
                    return
                self._head = b""
                self._left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if not self._left:
                self._transport.write(_ANSWER)


class _Silent(asyncio.Protocol):
    """Reads everything and never answers."""


async def _serve(kind: Collector, port: int) -> None:
    protocol = _Taking if kind is Collector.TAKES else _Silent
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(Collector(sys.argv[1]), int(sys.argv[2])))
