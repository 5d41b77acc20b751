"""Sends prepared bytes on many connections as fast as the server reads them. One thread, no knowledge of HTTP or MCP.

A script yields the blocks of one connection and may be endless; WAIT makes the connection wait until it has received
something. A connection stays open after the end of its script. When the server closes one, another is opened with a
new script, at a bounded rate and number.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator

from bench.load.hostile.target import Target

Script = Callable[[int], Iterator[bytes]]
"""Returns the blocks of the numbered connection."""

WAIT = b""
MOST_OPENED = 5_000
OPENED_AT_ONCE = 20
LOOK_SECONDS = 0.02
SEND_BYTES = 1 << 20
RECEIVE_BYTES = 1 << 18


def paced(block: bytes) -> Iterator[bytes]:
    """Yield a block repeatedly, each time after some bytes of the response to the previous one have arrived."""
    while True:
        yield block
        yield WAIT


def play(target: Target, connections: int, script: Script, *, reads: bool = True, reopens: bool = True) -> None:
    """Run a script on many connections until the time of the attack is over.

    Args:
        target: the server and the duration.
        connections: number of connections that are open at the same time.
        script: returns the blocks of each connection.
        reads: whether responses are read and discarded; otherwise they stay unread.
        reopens: whether a connection that the server closes is replaced.
    """
    with selectors.DefaultSelector() as selector:
        player = _Player(target, script, selector, reads)
        deadline, allowed = target.deadline(), connections
        while time.monotonic() < deadline:
            if reopens:
                allowed = MOST_OPENED
            player.open(min(connections - player.open_now, allowed - player.opened, OPENED_AT_ONCE))
            player.turn()


class _Connection:
    """One connection and its unsent blocks."""

    __slots__ = ("blocks", "pending", "socket", "waits")

    def __init__(self, connection: socket.socket, blocks: Iterator[bytes]) -> None:
        self.socket = connection
        self.blocks = blocks
        self.pending = memoryview(b"")
        self.waits = False


class _Player:
    """The open connections."""

    def __init__(self, target: Target, script: Script, selector: selectors.BaseSelector, reads: bool) -> None:
        self._target = target
        self._script = script
        self._selector = selector
        self._reads = reads
        self._held: list[_Connection] = []
        self.opened = 0
        self.open_now = 0

    def open(self, number: int) -> None:
        """Open `number` further connections."""
        for _ in range(number):
            connection = self._target.unconnected(reads=self._reads)
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", self._target.port))
            events = selectors.EVENT_WRITE | (selectors.EVENT_READ if self._reads else 0)
            self._selector.register(connection, events, _Connection(connection, self._script(self.opened)))
            self.opened += 1
            self.open_now += 1
            self._target.counter.connections.value += 1

    def turn(self) -> None:
        """Send and receive on every connection that is ready."""
        if not self._selector.get_map():
            time.sleep(LOOK_SECONDS)
            return
        for key, events in self._selector.select(LOOK_SECONDS):
            connection: _Connection = key.data
            try:
                if events & selectors.EVENT_READ:
                    self._receive(connection)
                if events & selectors.EVENT_WRITE:
                    self._send(connection)
            except BlockingIOError:
                continue
            except OSError:
                self._close(connection)

    def _receive(self, connection: _Connection) -> None:
        if not connection.socket.recv(RECEIVE_BYTES):
            raise ConnectionResetError
        if connection.waits:
            connection.waits = False
            events = selectors.EVENT_WRITE | (selectors.EVENT_READ if self._reads else 0)
            self._selector.modify(connection.socket, events, connection)

    def _send(self, connection: _Connection) -> None:
        if not connection.pending:
            block = next(connection.blocks, None)
            if block is None:
                self._hold(connection)
                return
            if block == WAIT:
                connection.waits = True
                self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
                return
            connection.pending = memoryview(block)
        size = connection.socket.send(connection.pending[:SEND_BYTES])
        self._target.counter.sent.value += size
        connection.pending = connection.pending[size:]

    def _hold(self, connection: _Connection) -> None:
        if self._reads:
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        else:
            self._selector.unregister(connection.socket)
            self._held.append(connection)

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self.open_now -= 1
