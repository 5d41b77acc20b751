"""Connections: limits on how requests arrive, and clients that leave, where uvicorn has none or does not see them.

A client that sends nothing, its request too slowly, or too many headers, loses its connection. Every answer leaves in
one write. Knows nothing of what is asked.
"""

from asyncio import BaseTransport, Transport, get_running_loop
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from transports.http.patience import Patience

_HEAD_BYTES = 64 * 1024
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _Gathering(Transport):
    """A transport that sends what is written in one turn of the loop at once: an answer's head and body together."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._loop = get_running_loop()
        self._parts: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._parts.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()


def limited_http(patience: Patience) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol with limits; somebody has to look at `patience` now and then."""

    class LimitedHttp(HttpToolsProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._in_head = True
            self._head_bytes = 0
            self._running: list[RequestResponseCycle] = []

        def connection_made(self, transport: BaseTransport) -> None:
            patience.start(self._too_slow)
            super().connection_made(_Gathering(cast(Transport, transport)))

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._in_head and self._head_bytes > _HEAD_BYTES:
                self._refuse(_TOO_LARGE)

        def on_message_begin(self) -> None:
            self._in_head = True
            self._head_bytes = 0
            patience.start(self._too_slow)
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()
            if self._running and self._running[0].response_complete:
                self._running = [cycle for cycle in self._running if not cycle.response_complete]
            self._running.append(self.cycle)

        def on_message_complete(self) -> None:
            patience.stop(self._too_slow)
            super().on_message_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            patience.stop(self._too_slow)
            super().connection_lost(exc)
            for cycle in self._running:  # uvicorn tells the newest only, not one that others are pipelined behind
                if not cycle.response_complete:
                    cycle.disconnected = True
                    cycle.message_event.set()

        def _too_slow(self) -> None:
            self._refuse(_TOO_SLOW)

        def _refuse(self, answer: bytes) -> None:
            patience.stop(self._too_slow)
            if not self.transport.is_closing():
                self.transport.write(answer)
                self.transport.close()

    return LimitedHttp
