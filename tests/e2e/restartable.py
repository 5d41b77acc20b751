"""A network server that can be stopped and started again on the same port.

Owns the port, which lies outside of the ephemeral range: otherwise an outgoing connection of another process could take
it while the server is down. Above `processes`; knows no client.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from os import getpid
from pathlib import Path
from typing import Any

from tests.support.processes import LOOPBACK, Child, HttpServer, await_health, child, configuration_file
from tests.support.programs import await_answer

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_NUMBERS = count()


def lasting_port() -> int:
    """Return a free port below the ephemeral range, from which the system assigns ports to outgoing connections."""
    room = int(_EPHEMERAL.read_text().split()[0]) - _LOWEST
    first = getpid() * 16 % room  # concurrent processes start their search at different ports
    for number in _NUMBERS:
        port = _LOWEST + (first + number) % room
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise AssertionError("the numbers do not end")


class Restartable:
    """A server that keeps its `port` while it is down."""

    def __init__(self, arguments: list[str], variables: Mapping[str, str]) -> None:
        self.port = lasting_port()
        self._line = ["serve", "--transport", "http", "--host", LOOPBACK, "--port", str(self.port), *arguments]
        self._variables = variables
        self._running = ExitStack()
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The current process, or the last one while the server is down."""
        assert self._child is not None, "start it first"
        return self._child

    def start(self) -> None:
        """Start the server, after closing a previous process, and wait until it is ready.

        Raises:
            StartError: it does not become ready.
        """
        self._running.close()
        self._child = self._running.enter_context(child(self._line, variables=self._variables))
        server = HttpServer(self._child, self.port)
        await_health(server)
        await_answer(self._child, f"{server.origin}/readyz")

    def tell_to_stop(self) -> None:
        """Send SIGTERM."""
        self.child.process.terminate()

    def close(self) -> None:
        """Stop the process and remove its temporary files."""
        self._running.close()


@contextmanager
def restartables(
    how_many: int, configuration: Mapping[str, Any], variables: Mapping[str, str]
) -> Iterator[list[Restartable]]:
    """Run this number of servers of one configuration until the end of the block."""
    with configuration_file(configuration) as arguments, ExitStack() as stack:
        servers = [Restartable(arguments, variables) for _ in range(how_many)]
        for server in servers:
            stack.callback(server.close)
            server.start()
        yield servers
