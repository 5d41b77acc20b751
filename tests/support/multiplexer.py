"""A multiplexer: one conversation with a server, and the many HTTP exchanges of a bridge that its messages belong to.

On a shared channel nothing says which exchange a log message or a question belongs to; the multiplexer decides it as a
client would have to. It gives requests unique ids where several clients share the conversation, and puts their own ids
back. Knows messages and no HTTP, which is in `bridge`.
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
"""How the notifications end that belong to the session and not to a request of it."""


class Signal(Enum):
    """What an exchange can be told instead of a message."""

    HUNG_UP = auto()
    """The client of the exchange has gone."""
    ENDED = auto()
    """The server has gone."""


Arrivals = SimpleQueue[JsonObject | Signal]


class Exchange:
    """A request that waits for its reply; `arrivals` are the messages that belong to it, the reply last."""

    def __init__(self, request: JsonObject, sent_id: MessageId) -> None:
        meta = (request.get("params") or {}).get("_meta") or {}
        self.id: MessageId = request["id"]
        self.sent_id = sent_id
        self.token: MessageId | None = meta.get("progressToken")
        self.listens = request["method"] == "subscriptions/listen"
        self.arrivals: Arrivals = SimpleQueue()

    def put(self, message: JsonObject) -> None:
        """Take a message, with the client's own id in it."""
        if "method" not in message:
            message["id"] = self.id
        meta = (message.get("params") or message.get("result") or {}).get("_meta") or {}
        if same_id(meta.get(SUBSCRIPTION), self.sent_id):
            meta[SUBSCRIPTION] = self.id
        self.arrivals.put(message)


class Multiplexer:
    """The exchanges over one conversation, which ends with `close`.

    Args:
        connecting: opens the conversation, in which nothing is said yet.
        shared: whether several clients, which know nothing of each other, send requests over it.
    """

    def __init__(self, connecting: AbstractContextManager[Conversation], *, shared: bool) -> None:
        self.shared = shared
        self.unasked: Arrivals = SimpleQueue()
        """What belongs to no request."""
        self.ended_by = ""
        """Why the server can say no more, once it cannot."""
        self._resources = ExitStack()
        self._conversation = self._resources.enter_context(connecting)
        self._ids = count(1)
        self._open: dict[object, Exchange] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="multiplexer", daemon=True)
        self._reader.start()

    def start(self, request: JsonObject) -> Exchange:
        """Send a request."""
        with self._lock:
            exchange = Exchange(request, next(self._ids) if self.shared else request["id"])
            self._open[exchange.sent_id] = exchange
            self._conversation.send({**request, "id": exchange.sent_id})
        return exchange

    def send(self, message: JsonObject) -> None:
        """Send a notification, or an answer to a request of the server."""
        with self._lock:
            self._conversation.send(message)

    def cancel(self, exchange: Exchange) -> None:
        """Tell the server that nobody waits for the reply."""
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
        """Return the exchange that a message names, or else the latest that may have caused it."""
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
