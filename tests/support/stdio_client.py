"""A raw client over the pipes of a child: it sends bytes or messages and reads messages line by line.

No SDK: the test sees the server's output unchanged. A thread reads stdout continuously, so that a full pipe never
blocks the server; every wait has a deadline. Knows nothing of HTTP.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.deadlines import PATIENCE, Deadline
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    JsonObject,
    MessageId,
    initialize_params,
    notification,
    request,
    same_id,
    stateless_params,
)
from tests.support.processes import Child, Configuration, stdio_child

Predicate = Callable[[JsonObject], bool]


class StreamClosedError(Exception):
    """The server has closed its stdout before the expected message arrived."""


class StdioClient:
    """One client of one child; messages that the test has not taken yet are kept in the order of their arrival."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.lines: list[bytes] = []
        self._ids = count(1)
        self._kept: list[JsonObject] = []
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="stdout-reader", daemon=True)
        self._reader.start()

    def send_bytes(self, raw: bytes) -> None:
        """Write these bytes unchanged to the server's stdin."""
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(raw)
        self.child.process.stdin.flush()

    def send(self, *messages: object) -> None:
        """Write one line of JSON for each message, in one write."""
        self.send_bytes(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification."""
        self.send(notification(method, params))

    def start(
        self, method: str, params: Mapping[str, Any] | None = None, identifier: MessageId | None = None
    ) -> MessageId:
        """Send a request and return its id: `identifier`, or the next number."""
        chosen = next(self._ids) if identifier is None else identifier
        self.send(request(chosen, method, params))
        return chosen

    def call(self, method: str, params: Mapping[str, Any] | None = None, seconds: float = PATIENCE) -> JsonObject:
        """Send a request and return the whole reply to it."""
        return self.reply(self.start(method, params), seconds)

    def call_stateless(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        capabilities: Mapping[str, Any] | None = None,
        log_level: str | None = None,
        seconds: float = PATIENCE,
    ) -> JsonObject:
        """Send a request of the stateless era and return the whole reply to it."""
        return self.call(method, stateless_params(params, capabilities=capabilities, log_level=log_level), seconds)

    def handshake(self, revision: str = LATEST_HANDSHAKE, capabilities: Mapping[str, Any] | None = None) -> JsonObject:
        """Perform the handshake and return the result of `initialize`."""
        reply = self.call("initialize", initialize_params(revision, capabilities))
        self.notify("notifications/initialized")
        result: JsonObject = reply["result"]
        return result

    def next_message(self, seconds: float = PATIENCE) -> JsonObject:
        """Return the next message of any kind."""
        return self._take(lambda message: True, "a message", seconds)

    def reply(self, identifier: MessageId | None, seconds: float = PATIENCE) -> JsonObject:
        """Return the result or error with this id, same in value and type; None stands for `"id": null` or no id."""

        def fits(message: JsonObject) -> bool:
            return "method" not in message and same_id(message.get("id"), identifier)

        return self._take(fits, f"the reply to {identifier!r}", seconds)

    def server_request(self, method: str, seconds: float = PATIENCE) -> JsonObject:
        """Return the next request of the server for `method`."""

        def fits(message: JsonObject) -> bool:
            return message.get("method") == method and "id" in message

        return self._take(fits, f"a request {method}", seconds)

    def notification(self, method: str, seconds: float = PATIENCE) -> JsonObject:
        """Return the next notification of `method`."""

        def fits(message: JsonObject) -> bool:
            return message.get("method") == method and "id" not in message

        return self._take(fits, f"a notification {method}", seconds)

    def arrived(self) -> Sequence[JsonObject]:
        """Return the messages that have arrived and that the test has not taken, without waiting."""
        while not self._arrived.empty():
            self._keep(self._arrived.get())
        return tuple(self._kept)

    def notifications(self, method: str | None = None) -> list[JsonObject]:
        """Return the notifications that have arrived and that the test has not taken, without waiting."""
        found = (message for message in self.arrived() if "method" in message and "id" not in message)
        return [message for message in found if method in (None, message["method"])]

    def close_input(self) -> None:
        """Close the server's stdin, which ends the conversation."""
        assert self.child.process.stdin is not None
        self.child.process.stdin.close()

    def rest(self, seconds: float = PATIENCE) -> Sequence[JsonObject]:
        """Wait for the end of the server's stdout and return all messages that the test has not taken."""
        deadline = Deadline(seconds, "the end of stdout")
        while not self._ended:
            self._pull(deadline)
        return tuple(self._kept)

    def _take(self, fits: Predicate, what: str, seconds: float) -> JsonObject:
        deadline = Deadline(seconds, f"{what} over stdio")
        checked = 0
        while True:
            for index in range(checked, len(self._kept)):
                if fits(self._kept[index]):
                    return self._kept.pop(index)
            checked = len(self._kept)
            if self._ended:
                raise StreamClosedError(f"Stdout ended before {what}; stderr:\n{self.child.stderr()}")
            self._pull(deadline)

    def _pull(self, deadline: Deadline) -> None:
        try:
            self._keep(self._arrived.get(timeout=deadline.left()))
        except queue.Empty:
            deadline.left()

    def _keep(self, line: bytes | None) -> None:
        if line is None:
            self._ended = True
            return
        self.lines.append(line)
        message = json.loads(line)
        assert isinstance(message, dict | list), f"Not a message on stdout: {line!r}"
        self._kept.extend(message if isinstance(message, list) else [message])

    def _read(self) -> None:
        assert self.child.process.stdout is not None
        with self.child.process.stdout as stdout:
            for line in stdout:
                self._arrived.put(line)
        self._arrived.put(None)


@contextmanager
def stdio_client(
    configuration: Configuration = None,
    *,
    arguments: Sequence[str] = (),
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[StdioClient]:
    """Start a server on stdio and yield a client of it; see `processes.stdio_child`."""
    with stdio_child(configuration, arguments=arguments, directory=directory, variables=variables) as running:
        yield StdioClient(running)
