"""A conversation over HTTP+SSE: messages from the server on the stream of a GET, messages to it by POST.

A thread reads the stream; each POST has a connection of its own. A JSON response to a POST is an error that cannot be
sent on the stream; it goes to the inbox as well. Knows neither era nor revision.
"""

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urljoin

from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.http_client import EVENT_STREAM, JSON, SILENCE
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.sse import Event, lines_of, parse_events


class SseConversation(Conversation):
    """The client of one stream."""

    transport = "sse"
    ordered = True

    def __init__(self, server: HttpServer, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        super().__init__(server.child, revision, capabilities)
        self.statuses: list[int] = []
        """The HTTP statuses of the POSTs, oldest first."""
        self.comments: list[str] = []
        self.complete = False
        """Whether the server has ended the stream as a complete HTTP body."""
        self.endpoint = ""
        """The path for POSTs, as named by the server."""
        self._port = server.port
        self._streaming = http.client.HTTPConnection(LOOPBACK, server.port, timeout=SILENCE)
        self._streaming.request("GET", "/sse", headers={"Accept": EVENT_STREAM})
        self._stream = self._streaming.getresponse()
        assert self._stream.status == http.client.OK, self._stream.status
        self._named = threading.Event()
        self._reader = threading.Thread(target=self._read, name="event-reader", daemon=True)
        self._reader.start()
        assert self._named.wait(PATIENCE), "The stream names no endpoint"

    def send_frame(self, frame: bytes, message: object = None) -> None:
        """POST one frame."""
        with closing(http.client.HTTPConnection(LOOPBACK, self._port, timeout=PATIENCE)) as connection:
            connection.request("POST", self.endpoint, frame, {"Content-Type": JSON})
            answer = connection.getresponse()
            body = answer.read()
        self.statuses.append(answer.status)
        if answer.getheader("content-type", "").startswith(JSON):
            self._inbox.fill([body])

    def hang_up(self, way: int = socket.SHUT_RDWR) -> None:
        """Close the stream's connection in both directions or one."""
        connection = self._streaming.sock
        if connection is not None:
            with suppress(OSError):  # the server has closed it first
                connection.shutdown(way)

    def close(self) -> None:
        """Close the stream."""
        self.hang_up()
        self._reader.join(PATIENCE)
        self._streaming.close()

    def _read(self) -> None:
        with suppress(OSError, http.client.HTTPException), self._stream:
            self._inbox.fill(self._frames())
            self.complete = self._stream.isclosed()
        self._inbox.end(f"The stream ended; stderr:\n{self.child.stderr()[-2000:]}")
        self._named.set()

    def _frames(self) -> Iterator[str]:
        for event in parse_events(lines_of(iter(lambda: self._stream.read1(65536), b""))):
            if event.comment is not None:
                self.comments.append(event.comment)
            elif not self.endpoint:
                assert event == Event(event="endpoint", data=event.data), event
                self.endpoint = urljoin("/sse", str(event.data))
                self._named.set()
            else:
                assert event.event == "message", event
                yield str(event.data)
