"""Clients that call a tool and then stop reading: a plain socket with a small buffer for each transport.

They use the stateless era, and for Streamable HTTP also a session. Received bytes stay unread in the system's buffers
until `rest`. Knows no tool.
"""

import json
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urljoin

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import JsonObject, request, stateless_headers, stateless_params
from tests.support.http_client import EVENT_STREAM, HEADERS, JSON, http_client
from tests.support.processes import LOOPBACK, HttpServer, UnixServer
from tests.support.services import Processes
from tests.support.streamable_http import UPGRADE, raw_request

BUFFER = 4096  # requested size of the receive buffer in bytes; the system may choose another


class StalledClient:
    """A connection on which a call was sent and whose output is not read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def await_output(self) -> None:
        """Wait until the server has begun to send, without reading."""
        self._connection.settimeout(PATIENCE)
        self._connection.recv(1, socket.MSG_PEEK)

    def rest(self) -> bytes:
        """Read the output until the server ends the connection; a connection that stays open is an error."""
        self._connection.settimeout(PATIENCE)
        parts: list[bytes] = []
        try:
            while part := self._connection.recv(1024 * 1024):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def send(self, data: bytes) -> None:
        """Send as many bytes as the socket accepts without waiting."""
        self._connection.setblocking(False)
        with suppress(OSError):
            self._connection.send(data)

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


def over_unix(server: UnixServer, call: JsonObject) -> StalledClient:
    """Call over the Unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(server.path))
    connection.sendall(json.dumps(stateless(call)).encode() + b"\n")
    return StalledClient(connection)


def over_websocket(server: HttpServer, call: JsonObject) -> StalledClient:
    """Call over a WebSocket; the frame's mask is all zeros (RFC 6455, 5.3)."""
    connection = connected(server)
    connection.sendall(raw_request("GET", "/ws", LOOPBACK, UPGRADE))
    read_until(connection, b"\r\n\r\n")
    text = json.dumps(stateless(call)).encode()
    connection.sendall(struct.pack("!BBH4x", 0x81, 0x80 | 126, len(text)) + text)
    return StalledClient(connection)


def over_sse(server: HttpServer, call: JsonObject) -> StalledClient:
    """Call over HTTP+SSE; the unread connection is that of the event stream."""
    connection = connected(server)
    connection.sendall(raw_request("GET", "/sse", LOOPBACK, [("Accept", EVENT_STREAM)]))
    reference = read_until(connection, b"data: ", b"\n\n").rpartition(b"data: ")[2].split()[0].decode()
    with closing(HTTPConnection(LOOPBACK, server.port, timeout=PATIENCE)) as posting:
        posting.request("POST", urljoin("/sse", reference), json.dumps(stateless(call)), {"Content-Type": JSON})
        assert posting.getresponse().status == 202
    return StalledClient(connection)


def over_http(server: HttpServer, call: JsonObject) -> StalledClient:
    """Call over Streamable HTTP, without a session."""
    message = stateless(call)
    return posted(server, message, stateless_headers(message))


def over_http_in_a_session(server: HttpServer, call: JsonObject) -> StalledClient:
    """Call over Streamable HTTP, in a session."""
    with http_client(server.url) as client:
        session = client.handshake()
        return posted(server, request(1, "tools/call", call), session.headers)


def _call_on_network(name: str, processes: Processes, call: JsonObject) -> StalledClient:
    return ON_NETWORK[name](processes.network, call)


ON_NETWORK: Mapping[str, Callable[[HttpServer, JsonObject], StalledClient]] = {
    "websocket": over_websocket,
    "sse": over_sse,
    "http": over_http,
    "http in a session": over_http_in_a_session,
}
STALLED: Mapping[str, Callable[[Processes, JsonObject], StalledClient]] = {
    "unix": lambda processes, call: over_unix(processes.unix_socket, call),
    **{name: partial(_call_on_network, name) for name in ON_NETWORK},
}


def stateless(call: JsonObject) -> JsonObject:
    """Return the stateless request for a call, with the log level `debug`."""
    return request(1, "tools/call", stateless_params(call, log_level="debug"))


def posted(server: HttpServer, message: JsonObject, headers: Mapping[str, str]) -> StalledClient:
    """POST a message."""
    connection = connected(server)
    connection.sendall(raw_request("POST", "/mcp", LOOPBACK, list({**HEADERS, **headers}.items()), message))
    return StalledClient(connection)


def connected(server: HttpServer) -> socket.socket:
    """Connect with a small buffer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    connection.settimeout(PATIENCE)
    connection.connect((LOOPBACK, server.port))
    return connection


def read_until(connection: socket.socket, *marks: bytes) -> bytes:
    """Read up to these marks, one after the other; read single bytes, so that nothing after them is consumed."""
    read = b""
    for mark in marks:
        start = len(read)
        while mark not in read[start:]:
            byte = connection.recv(1)
            assert byte, read
            read += byte
    return read
