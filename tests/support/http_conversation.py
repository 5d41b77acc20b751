"""A conversation over Streamable HTTP: each frame is a POST of its own, and all responses go to one inbox.

Threads read the responses to requests, so that several can be open at once; every other POST blocks the caller. Each
POST has a plain `http.client` connection, which a test can close at any moment. Statuses are kept by request id.
"""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import (
    FIRST_WITH_VERSION_HEADER,
    META_PREFIX,
    STATELESS,
    JsonObject,
    MessageId,
    same_id,
    stateless_headers,
)
from tests.support.http_client import EVENT_STREAM, HEADERS, SILENCE
from tests.support.inbox import Inbox
from tests.support.processes import HttpServer
from tests.support.sse import lines_of, parse_events


class Exchange:
    """One HTTP request and its response, whose messages go to the inbox as they arrive."""

    def __init__(self, url: str, inbox: Inbox, on_answer: Callable[[http.client.HTTPResponse], None]) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._path = address.path
        self._inbox = inbox
        self._on_answer = on_answer
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=SILENCE)
        self._connection.connect()
        self.opened = threading.Event()
        self.finished = threading.Event()
        self._abandoned = False
        self._problem: Exception | None = None

    def run(self, verb: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        """Send the request and read the response to its end."""
        self._send(verb, body, headers)
        self._receive(verb)

    def start(self, verb: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        """Send the request and read the response in a thread; requests are sent in the order of their starts."""
        self._send(verb, body, headers)
        threading.Thread(target=self._receive, args=(verb,), name="exchange", daemon=True).start()

    def _send(self, verb: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        try:
            self._connection.request(verb, self._path, body, dict(headers))
        except (OSError, http.client.HTTPException) as problem:
            self._problem = problem

    def _receive(self, verb: str) -> None:
        try:
            if self._problem is not None:
                raise self._problem
            answer = self._connection.getresponse()
            self._on_answer(answer)
            self.opened.set()
            self._read(answer)
        except (OSError, http.client.HTTPException, ValueError) as problem:
            if not self._abandoned:
                self._inbox.end(f"{verb} broke: {problem!r}")
        finally:
            self._connection.close()
            self.opened.set()
            self.finished.set()

    def hang_up(self) -> None:
        """Close the connection in whatever state it is, and wait for the end of the exchange."""
        self._abandoned = True
        connection = self._connection.sock
        if connection is not None and not self.finished.is_set():
            with suppress(OSError):  # the server has closed it first
                connection.shutdown(socket.SHUT_RDWR)
        assert self.finished.wait(PATIENCE), "The exchange does not end"

    def _read(self, answer: http.client.HTTPResponse) -> None:
        kind = answer.getheader("content-type", "")
        with answer:
            if kind.startswith(EVENT_STREAM):
                for event in parse_events(lines_of(iter(lambda: answer.read1(65536), b""))):
                    if event.data:
                        self._inbox.put(json.loads(event.data))
            elif (body := answer.read()) and kind.startswith("application/json"):
                self._inbox.put(json.loads(body))


class HttpConversation(Conversation):
    """A client of one endpoint, with a session of its own in the handshake era."""

    transport = "http"
    ordered = False

    def __init__(self, server: HttpServer, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        super().__init__(server.child, revision, capabilities)
        self.server = server
        self._statuses: list[tuple[MessageId | None, int]] = []
        self._session: dict[str, str] = {}
        self._exchanges: list[tuple[MessageId | None, Exchange]] = []
        self._standalone: Exchange | None = None

    def send_frame(self, frame: bytes, message: object = None) -> None:
        """POST one frame; wait for the response unless the frame is a request."""
        identifier = message.get("id") if isinstance(message, dict) and "method" in message else None
        exchange = self._exchange(identifier)
        headers = {**HEADERS, **self._session, **self._mirrored(message)}
        if identifier is None and not _holds_requests(message):
            exchange.run("POST", frame, headers)
        else:
            exchange.start("POST", frame, headers)

    def initialize(self, revision: str | None = None) -> JsonObject:
        """Send `initialize`; later requests carry the negotiated revision in a header if it requires that."""
        result = super().initialize(revision)
        if self.revision >= FIRST_WITH_VERSION_HEADER:
            self._session["MCP-Protocol-Version"] = self.revision
        return result

    def attend(self) -> None:
        """Open the session's standalone stream; a no-op if it is open."""
        if self.stateless or self._standalone is not None:
            return
        self._standalone = self._exchange(None)
        self._standalone.start("GET", None, {"Accept": EVENT_STREAM, **self._session})
        assert self._standalone.opened.wait(PATIENCE), "The session's stream does not open"

    def cancel(self, identifier: MessageId) -> None:
        """Cancel by a notification, or by closing the connection in the stateless era."""
        if not self.stateless:
            super().cancel(identifier)
            return
        for candidate, exchange in self._exchanges:
            if same_id(candidate, identifier):
                exchange.hang_up()

    def status(self, identifier: MessageId | None = None) -> int:
        """Return the latest HTTP status for that request, or for the latest frame that is not a request."""
        return next(status for known, status in reversed(self._statuses) if same_id(known, identifier))

    def end_session(self) -> None:
        """DELETE the session."""
        self._exchange(None).run("DELETE", None, {"Accept": "*/*", **self._session})
        self._session.pop("Mcp-Session-Id", None)

    def close(self) -> None:
        """Close all connections and end the session."""
        for _, exchange in self._exchanges:
            exchange.hang_up()
        if "Mcp-Session-Id" in self._session and self.child.process.poll() is None:
            self.end_session()

    def _mirrored(self, message: object) -> dict[str, str]:
        """Return the headers that mirror a stateless request, as far as the message has the mirrored members."""
        params = message.get("params") if isinstance(message, dict) else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        if isinstance(message, dict) and isinstance(meta, dict) and any(key.startswith(META_PREFIX) for key in meta):
            return stateless_headers(message)
        if not self.stateless:
            return {}
        method = {"Mcp-Method": str(message["method"])} if isinstance(message, dict) and "method" in message else {}
        return {"MCP-Protocol-Version": STATELESS, **method}

    def _exchange(self, identifier: MessageId | None) -> Exchange:
        self._exchanges = [entry for entry in self._exchanges if not entry[1].finished.is_set()]
        exchange = Exchange(self.server.url, self._inbox, partial(self._answered, identifier))
        self._exchanges.append((identifier, exchange))
        return exchange

    def _answered(self, identifier: MessageId | None, answer: http.client.HTTPResponse) -> None:
        self._statuses.append((identifier, answer.status))
        if session := answer.getheader("mcp-session-id"):
            self._session["Mcp-Session-Id"] = session


def _holds_requests(message: object) -> bool:
    return isinstance(message, list) and any(
        isinstance(item, dict) and {"id", "method"} <= item.keys() for item in message
    )
