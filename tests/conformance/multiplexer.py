"""A multiplexer: assigns the messages of one conversation to the HTTP exchanges of a bridge that share it.

On a shared channel, no field says which exchange a log message or a question belongs to; the multiplexer decides it
like a client. Where several clients share the conversation, it replaces request ids by unique ones and restores them in
the replies. Knows messages and no HTTP, which is in `bridge`.
"""

import threading
from contextlib import AbstractContextManager, ExitStack
from enum import Enum, auto
from itertools import count
from queue import SimpleQueue

from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import META_PREFIX, JsonObject, MessageId, notification, same_id
from tests.support.http_client import SILENCE
from tests.support.inbox import ConversationClosedError

SUBSCRIPTION = f"{META_PREFIX}subscriptionId"
OF_NO_REQUEST = ("/list_changed", "/updated")
"""Suffixes of the notifications that belong to a session and not to one of its requests."""


class Signal(Enum):
    """An event that an exchange receives instead of a message."""

    HUNG_UP = auto()
    """The client of the exchange has disconnected."""
    ENDED = auto()
    """The conversation with the server has ended."""


Arrivals = SimpleQueue[JsonObject | Signal]


class Exchange:
    """A request in flight; `arrivals` receives the messages that belong to it, the reply last."""

    def __init__(self, request: JsonObject, sent_id: MessageId) -> None:
        meta = (request.get("params") or {}).get("_meta") or {}
        self.id: MessageId = request["id"]
        self.sent_id = sent_id
        self.token: MessageId | None = meta.get("progressToken")
        self.listens = request["method"] == "subscriptions/listen"
        self.arrivals: Arrivals = SimpleQueue()

    def put(self, message: JsonObject) -> None:
        """Pass a message on, with the client's own ids restored."""
        if "method" not in message:
            message["id"] = self.id
        meta = (message.get("params") or message.get("result") or {}).get("_meta") or {}
        if same_id(meta.get(SUBSCRIPTION), self.sent_id):
            meta[SUBSCRIPTION] = self.id
        self.arrivals.put(message)


class Multiplexer:
    """The exchanges over one conversation, which `close` ends.

    Args:
        connecting: opens the conversation, before any message.
        shared: whether several independent clients send requests over it.
    """

    def __init__(self, connecting: AbstractContextManager[Conversation], *, shared: bool) -> None:
        self.shared = shared
        self.unasked: Arrivals = SimpleQueue()
        """Receives the messages that belong to no request."""
        self.ended_by = ""
        """The reason for the end of the conversation; empty before."""
        self._resources = ExitStack()
        self._conversation = self._resources.enter_context(connecting)
        self._ids = count(1)
        self._open: dict[object, Exchange] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="multiplexer", daemon=True)
        self._reader.start()

    def start(self, request: JsonObject) -> Exchange:
        """Send a request and return its exchange."""
        with self._lock:
            exchange = Exchange(request, next(self._ids) if self.shared else request["id"])
            self._open[exchange.sent_id] = exchange
            self._conversation.send({**request, "id": exchange.sent_id})
        return exchange

    def send(self, message: JsonObject) -> None:
        """Send a notification, or a response to a request of the server."""
        with self._lock:
            self._conversation.send(message)

    def cancel(self, exchange: Exchange) -> None:
        """Cancel a request by a notification."""
        with self._lock:
            self._open.pop(exchange.sent_id, None)
            self._conversation.send(notification("notifications/cancelled", {"requestId": exchange.sent_id}))

    def close(self) -> None:
        """End the conversation."""
        self._resources.close()
        self._reader.join(PATIENCE)

    def _read(self) -> None:
        while (message := self._next()) is not None:
            with self._lock:
                exchange = self._exchange_of(message)
            if exchange is None:
                self.unasked.put(message)
            else:
                exchange.put(message)
        with self._lock:
            waiting = [exchange.arrivals for exchange in self._open.values()]
        for arrivals in (*waiting, self.unasked):
            arrivals.put(Signal.ENDED)

    def _next(self) -> JsonObject | None:
        while True:
            try:
                return self._conversation.message(SILENCE)
            except TimeoutError:
                continue
            except ConversationClosedError as end:
                self.ended_by = str(end)
                return None

    def _exchange_of(self, message: JsonObject) -> Exchange | None:
        """Return the exchange that a message names, or else the latest one that can have caused it."""
        if "method" not in message:
            return self._open.pop(message.get("id"), None)
        params = message.get("params") or {}
        if (subscription := (params.get("_meta") or {}).get(SUBSCRIPTION)) is not None:
            return self._open.get(subscription)
        candidates = [exchange for exchange in reversed(self._open.values()) if not exchange.listens]
        if (token := params.get("progressToken")) is not None:
            candidates = [exchange for exchange in candidates if same_id(exchange.token, token)]
        elif message["method"].endswith(OF_NO_REQUEST):
            candidates = []
        return next(iter(candidates), None)
