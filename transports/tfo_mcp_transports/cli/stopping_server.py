"""StoppingServer: uvicorn's server with a graceful shutdown and connection limits that are enforced to the end.

Uses private names of uvicorn, whose minor version is pinned for that. Knows neither settings nor transports.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import anyio
import uvicorn

from tfo_mcp.bootstrap import Server
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.signals import Reloads, leave_at_once

if TYPE_CHECKING:
    from tfo_mcp_transports.network.uvicorn_protocols import ConnectionLimits

_ANSWER_SECONDS = 0.3  # after the drain, to send the responses
_HANG_UP_SECONDS = 0.2
_LISTENING_SECONDS = 0.3  # after a signal, so that proxies get a 503 and switch to another server
_TAKEN_IN = 1024  # connections accepted from the backlog during shutdown


class StoppingServer(uvicorn.Server):
    """Starts the graceful shutdown as soon as a signal arrives.

    Args:
        config: uvicorn's.
        server: the application.
        limits: the connection limits, None without httptools.
        deadline: started by the signal.
        reloads: reloads the settings meanwhile.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server: Server,
        limits: "ConnectionLimits | None",
        deadline: ExitDeadline,
        reloads: Reloads,
    ) -> None:
        super().__init__(config)
        self._server = server
        self._limits = limits
        self._deadline = deadline
        self._reloads = reloads

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal ends the process at once."""
        if self._server.stopping.is_set():
            leave_at_once(sig)
        self.drain()

    def drain(self) -> None:
        """Begin to drain."""
        self._deadline.start()
        self._server.stop()
        if self._limits is not None:
            self._limits.hurry()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal arrives and the connections have drained."""
        self._reloads.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leave_when_drained)
            if self._limits is not None:
                tasks.start_soon(self._limits.keep)
            await super().serve(sockets)
            tasks.cancel_scope.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections in the backlog before listening stops, which would reset them."""
        waiting = [connection for listener in sockets or () for connection in _waiting_on(listener)]
        for each in self.servers:
            each.close()
        for connection in waiting:
            await self.serve_connection(connection)
        await super().shutdown(sockets)

    async def serve_connection(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted elsewhere."""
        await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for the drain time and a short time for responses; then abort the remaining connections."""
        with anyio.move_on_after(self._server.drain_left + _ANSWER_SECONDS):
            await super()._wait_tasks_to_complete()
            return
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        async with asyncio.timeout(_HANG_UP_SECONDS):
            await super()._wait_tasks_to_complete()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _leave_when_drained(self) -> None:
        """Keep listening for a short time and while calls run, so that new requests get an error response."""
        await self._server.stopping.wait()
        await anyio.sleep(_LISTENING_SECONDS)
        with anyio.move_on_after(self._server.drain_left):
            await self._server.drained()
        self.should_exit = True


def _waiting_on(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the established connections in the backlog, up to a limit, since new ones can arrive as fast."""
    listener.setblocking(False)
    with suppress(OSError):
        for _ in range(_TAKEN_IN):
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection
