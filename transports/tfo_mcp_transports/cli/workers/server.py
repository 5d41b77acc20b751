"""WorkerServer: the network transports in one of several worker processes.

It listens on a socket that all workers share, and obeys its parent: a signal to drain may come more than once, and it
drains when the parent has ended.
"""

import asyncio
import os
import signal
import socket
from functools import partial
from types import FrameType

import uvicorn

from tfo_mcp.bootstrap import Server, Settings, Worker
from tfo_mcp_transports.asgi import create_app
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.network import connection_limits, uvicorn_configuration
from tfo_mcp_transports.cli.signals import Reloads, on_end
from tfo_mcp_transports.cli.stopping_server import StoppingServer
from tfo_mcp_transports.cli.workers.parent_link import ParentLink
from tfo_mcp_transports.cli.workers.shared_listener import SharedListener


class WorkerServer(StoppingServer):
    """Serves the connections that this worker accepts; see `StoppingServer` for the other arguments.

    Args:
        listener: the socket that the workers share.
        worker: what this worker has from its parent.
        link: reports to the parent.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server: Server,
        deadline: ExitDeadline,
        settings: Settings,
        listener: socket.socket,
        worker: Worker,
        link: ParentLink,
    ) -> None:
        ask_parent = partial(os.kill, os.getppid(), signal.SIGHUP)
        reloads = Reloads(server, link, ask_parent, speaks=worker.place.is_first)
        super().__init__(config, server, connection_limits(config, settings), deadline, reloads)
        self._link = link
        self._listener = listener
        connections = self.server_state.connections
        has_more = worker.place.has_more_connections
        self._accepting = SharedListener(listener, self.serve_connection, lambda: len(connections), has_more)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain. Further signals change nothing: a terminal or service manager may signal every process."""
        if not self._server.stopping.is_set():
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, begin to accept, and report that to the parent."""
        await super().startup([])
        asyncio.get_running_loop().add_reader(self._link.parent_ended, self._end_with_parent)
        self._accepting.start()
        self._link.serving(self._server.hidden_tools)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, and end the connections."""
        self._accepting.stop()
        await super().shutdown([self._listener])

    def _end_with_parent(self) -> None:
        asyncio.get_running_loop().remove_reader(self._link.parent_ended)
        if not self._server.stopping.is_set():
            self.drain()


def serve_worker(
    server: Server,
    settings: Settings,
    deadline: ExitDeadline,
    listener: socket.socket,
    worker: Worker,
    link: ParentLink,
    *,
    reloads_first: bool,
) -> None:
    """Serve in this worker process until a signal arrives or the parent ends.

    Args:
        reloads_first: whether to reload the settings before serving, since the other workers have reloaded theirs.
    """
    config = uvicorn_configuration(create_app(server, settings), settings)

    async def run() -> None:
        on_end(server.stop, deadline, again=lambda _: None)  # until uvicorn handles signals
        if reloads_first:
            await server.reload()
        await server.prepare()
        if server.stopping.is_set():
            await server.close()
        else:
            await WorkerServer(config, server, deadline, settings, listener, worker, link).serve()

    with event_loop() as loop:
        loop.run(run())
