"""The input of an attack: the server, the source address, and the counters."""

from __future__ import annotations

import multiprocessing
import socket
import time
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

CONNECT_SECONDS = 5.0
UNREAD_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Counter:
    """The activity of the hostile client, in memory that it shares with the campaign."""

    connections: Synchronized[int]
    sent: Synchronized[int]
    """Bytes."""
    requests: Synchronized[int]
    """Only requests that are sent one after the other; raw streams are counted in bytes only."""


def new_counter() -> Counter:
    """Return a counter at zero that a spawned process can write to."""
    context = multiprocessing.get_context("spawn")
    return Counter(*(context.Value("Q", 0) for _ in range(3)))


@dataclass(frozen=True, slots=True)
class Target:
    """The server and the address of the hostile client; `key` is an API key for kinds that need one."""

    port: int
    address: str
    root: Path
    seconds: float
    counter: Counter
    key: str | None = None

    def deadline(self) -> float:
        """Return the monotonic time at which an attack that begins now ends."""
        return time.monotonic() + self.seconds

    def unconnected(self, *, reads: bool = True) -> socket.socket:
        """Return an unconnected socket bound to the hostile address; without `reads` its receive buffer is small."""
        connection = socket.socket()
        if not reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
        connection.bind((self.address, 0))
        return connection

    def connect(self, *, reads: bool = True) -> socket.socket:
        """Return a blocking connection to the server."""
        connection = self.unconnected(reads=reads)
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(("127.0.0.1", self.port))
        self.counter.connections.value += 1
        return connection
