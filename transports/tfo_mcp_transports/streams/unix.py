"""The Unix socket: serves several local clients at once, with the framing of stdio.

Every client acts as the owner of the process, because only that user can open the socket (mode 0600). Knows no message.
"""

import asyncio
import socket

import anyio

from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.server import OWNER, Server
from tfo_mcp_transports.streams.line_connection import LineConnection

_FACTS = Facts(Transport("unix", "unix"), OWNER)
_STALLED_SECONDS = 10.0
_EXHAUSTED_SECONDS = 0.1
_ANSWER_SECONDS = 0.4  # after the drain, to send the responses
_CANCEL_SECONDS = 0.2


class UnixSocket:
    """Accepts clients on a listening socket until the server stops."""

    def __init__(self, server: Server, listener: socket.socket, max_line_bytes: int) -> None:
        self._server = server
        self._listener = listener
        self._max_line_bytes = max_line_bytes
        self._clients: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until the server stops; then drain the clients within a deadline, and cancel the rest."""
        self._listener.setblocking(False)
        accepting = asyncio.create_task(self._accept())
        try:
            await self._server.stopping.wait()
        finally:
            accepting.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=self._server.drain_left + _ANSWER_SECONDS)
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=_CANCEL_SECONDS)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError:  # no file descriptor is free at the moment
                await anyio.sleep(_EXHAUSTED_SECONDS)
                continue
            task = asyncio.create_task(self._serve(client))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    async def _serve(self, client: socket.socket) -> None:
        with client:
            connection = LineConnection(self._server, _FACTS, self._max_line_bytes, _STALLED_SECONDS)
            await connection.serve(client.fileno(), client.fileno())
