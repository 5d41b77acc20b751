"""Sends this server's own telemetry to the store process, from the threads of its exporters.

Never starts the process, which the client does, but waits a few seconds for its start. What cannot be sent then is
dropped, and counted by the exporters.
"""

import socket
from collections.abc import Callable
from functools import partial
from threading import Event, Lock
from time import monotonic

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, connect
from tfo_mcp.infrastructure.telemetry_store.protocol import (
    LENGTHS,
    PROTOCOL,
    ProtocolError,
    frame,
    header_of,
    lengths_of,
)

_SEND_SECONDS = 5.0
_START_SECONDS = 5.0
_POLL_SECONDS = 0.1

Send = Callable[[bytes], bool]
"""Sends an export request, encoded as protobuf; returns whether it is stored."""


class OwnExports:
    """One connection to the store process, shared by the exporters of all signals."""

    def __init__(self, places: StorePlaces) -> None:
        self._places = places
        self._connection: socket.socket | None = None
        self._lock = Lock()
        self._closed = Event()

    def sender(self, signal: Signal) -> Send:
        """Return the function that sends requests of a signal."""
        return partial(self._send, signal)

    def stop_waiting(self) -> None:
        """Send what is left only if the process runs: this server ends."""
        self._closed.set()

    def _send(self, signal: Signal, body: bytes) -> bool:
        message = frame({"protocol": PROTOCOL, "method": "ingest", "signal": signal.value}, body)
        with self._lock:
            deadline = monotonic() + _START_SECONDS
            while True:
                try:
                    return self._exchange(message)
                except (OSError, ProtocolError):  # e.g. the kept connection is one to a process that has ended
                    self._disconnect()
                if monotonic() >= deadline or self._closed.wait(_POLL_SECONDS):
                    return False

    def _exchange(self, message: bytes) -> bool:
        if self._connection is None:
            self._connection = connect(self._places)
            self._connection.settimeout(_SEND_SECONDS)
        self._connection.sendall(message)
        header, payload = lengths_of(self._receive(LENGTHS))
        answer = header_of(self._receive(header))
        self._receive(payload)
        return "error" not in answer

    def _receive(self, size: int) -> bytes:
        assert self._connection is not None
        received = bytearray()
        while len(received) < size:
            part = self._connection.recv(size - len(received))
            if not part:
                raise ConnectionResetError
            received += part
        return bytes(received)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
