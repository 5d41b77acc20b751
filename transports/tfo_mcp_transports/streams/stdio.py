"""stdio: the host that started the process talks to it over standard input and output, one JSON-RPC message per line.

Knows no method. That nothing else gets into these streams is seen to by `descriptors.private_streams`.
"""

import signal

from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.server import OWNER, Server
from tfo_mcp_transports.streams.line_connection import LineConnection

_FACTS = Facts(Transport("stdio", "pipe"), OWNER)


def stdio_connection(server: Server, max_line_bytes: int) -> LineConnection:
    """Return the connection of the process's owner. Its end is the end of the server: the host has left."""
    return LineConnection(server, _FACTS, max_line_bytes, on_end=server.stop)


async def stdio_beside(server: Server, max_line_bytes: int, wire_in: int, wire_out: int) -> None:
    """Serve stdio beside other wires.

    When a host that has said something leaves, the process ends as if told by a signal. An input that was at its end
    from the beginning had no host: the other wires go on.
    """
    connection = LineConnection(server, _FACTS, max_line_bytes)
    await connection.serve(wire_in, wire_out)
    if connection.heard and not server.stopping.is_set():
        signal.raise_signal(signal.SIGTERM)
