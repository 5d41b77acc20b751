"""A server's MCP endpoint, for the load generator: opens sessions and prepares the bytes of requests.

The set-up uses plain blocking requests; nothing here runs during a measurement.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from bench.errors import BenchError
from bench.messages import INITIALIZE, INITIALIZED, Era, Message, encode

ANSWER_SECONDS = 60.0
ACCEPT = "application/json, text/event-stream"


class Endpoint:
    """The endpoint `http://127.0.0.1:PORT/mcp` and its open sessions; requests carry the API key if one is given."""

    def __init__(self, port: int, key: str | None = None) -> None:
        self.port = port
        self._credentials = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._sessions: list[str | None] = []

    def sessions(self, number: int) -> list[str | None]:
        """The ids of `number` open sessions; each is None for a server without sessions."""
        missing = number - len(self._sessions)
        if missing > 0:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
            try:
                self._sessions += [self._open_session(connection) for _ in range(missing)]
            finally:
                connection.close()
        return self._sessions[:number]

    def open_and_delete(self, number: int) -> None:
        """Open `number` sessions and end each by DELETE."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            for _ in range(number):
                _delete(connection, self._open_session(connection))
        finally:
            connection.close()

    def _open_session(self, connection: http.client.HTTPConnection) -> str | None:
        session = _post(connection, INITIALIZE, self._credentials, None, 200)
        _post(connection, INITIALIZED, self._credentials, session, 202)
        return session

    def request(self, era: Era, message: Message, session: str | None = None) -> bytes:
        """The bytes of a POST of a message."""
        body = encode(message)
        headers = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json",
            "Accept": ACCEPT,
            "MCP-Protocol-Version": era.revision,
            **self._credentials,
        }
        if era is Era.STATELESS:
            headers["Mcp-Method"] = message["method"]
            if "name" in message["params"]:
                headers["Mcp-Name"] = message["params"]["name"]
        elif session is not None:
            headers["Mcp-Session-Id"] = session
        headers["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body

    def listen_request(self, session: str) -> bytes:
        """The bytes of a GET of a session's standalone stream."""
        return self._bare_request("GET", session, "Accept: text/event-stream\r\n")

    def delete_request(self, session: str) -> bytes:
        """The bytes of a DELETE of a session."""
        return self._bare_request("DELETE", session)

    def _bare_request(self, method: str, session: str, headers: str = "") -> bytes:
        return (
            f"{method} /mcp HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{headers}"
            f"MCP-Protocol-Version: {Era.HANDSHAKE.revision}\r\nMcp-Session-Id: {session}\r\n\r\n"
        ).encode()

    def plans(self, era: Era, message: Message, connections: int, sessions: int | None = None) -> list[list[bytes]]:
        """The requests that each connection repeats: that of its own session, or those of its share of `sessions`."""
        if era is Era.STATELESS:
            return [[self.request(era, message)]] * connections
        ids = self.sessions(sessions or connections)
        requests = [self.request(era, message, session) for session in ids]
        return [requests[start::connections] or requests[:1] for start in range(connections)]


def _post(
    connection: http.client.HTTPConnection,
    message: Message,
    credentials: Mapping[str, str],
    session: str | None,
    status: int,
) -> str | None:
    """Post a message of the handshake era; return the session id in the response."""
    headers = {"Content-Type": "application/json", "Accept": ACCEPT, **credentials}
    if session is not None:
        headers["Mcp-Session-Id"] = session
    if message is not INITIALIZE:
        headers["MCP-Protocol-Version"] = Era.HANDSHAKE.revision
    connection.request("POST", "/mcp", encode(message), headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != status:
        raise BenchError(f"{message['method']} got {response.status} and {body[:300]!r}")
    return response.headers["Mcp-Session-Id"]


def _delete(connection: http.client.HTTPConnection, session: str | None) -> None:
    """End a session."""
    headers = {"Mcp-Session-Id": session or "", "MCP-Protocol-Version": Era.HANDSHAKE.revision}
    connection.request("DELETE", "/mcp", headers=headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 204:
        raise BenchError(f"DELETE got {response.status} and {body[:300]!r}")
