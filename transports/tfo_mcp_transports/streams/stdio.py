"""stdio: serves the host that started the process over standard input and output, one JSON-RPC message per line.

Knows no method. `descriptors.private_streams` keeps all other output out of these streams.
"""

import signal

from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.server import OWNER, Server
from tfo_mcp_transports.streams.line_connection import LineConnection

_FACTS = Facts(Transport("stdio", "pipe"), OWNER)


def stdio_connection(server: Server, max_line_bytes: int) -> LineConnection:
    """Return the connection of the process's owner; the server stops when it ends, since the host has disconnected."""
    return LineConnection(server, _FACTS, max_line_bytes, on_end=server.stop)


async def stdio_beside(server: Server, max_line_bytes: int, descriptor_in: int, descriptor_out: int) -> None:
    """Serve stdio in addition to other transports.

    When a host that has sent something disconnects, the process ends as after SIGTERM. When the input ends without a
    single byte, there was no host, and the other transports go on.
    """
    connection = LineConnection(server, _FACTS, max_line_bytes)
    await connection.serve(descriptor_in, descriptor_out)
    if connection.heard and not server.stopping.is_set():
        signal.raise_signal(signal.SIGTERM)
