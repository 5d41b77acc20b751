"""SharedEventBus: passes events that other replicas must react to between their processes.

These are changes of what clients can see, ends of sessions, and reloads. All other events stay in their process. Knows
no listener, and not what carries the messages.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

import anyio

from tfo_mcp.application.ports import EventBus, EventT, ReplicaChannel
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.events import (
    CHANGES,
    DomainEvent,
    ReloadRequested,
    ResourceUpdated,
    SessionClosed,
)

_SHARED = {kind.__name__: kind for kind in (*CHANGES, SessionClosed, ReloadRequested)}
_MOST_WAITING = 10_000
_MOST_VERSIONS = 10_000
_RETRY_SECONDS = 0.5


class SharedEventBus:
    """Delivers events in this process at once, and those that concern the other replicas to them, too.

    An event that cannot be sent waits until the channel works again; equal ones wait once, and at most 10,000. A change
    that several replicas detect is published by the first of them, here and at the others.

    Args:
        channel: carries messages between the replicas.
        own: the id of this process among the replicas.
        local: the event bus of this process.
    """

    def __init__(self, channel: ReplicaChannel, own: str, local: EventBus) -> None:
        self._channel = channel
        self._own = own
        self._local = local
        self._waiting: OrderedDict[DomainEvent, None] = OrderedDict()
        self._arrived = anyio.Event()
        self._versions: OrderedDict[str, str] = OrderedDict()  # that were published last, by the URI of the resource
        channel.receive(self._receive)

    def publish(self, event: DomainEvent) -> None:
        """Call the listeners in this process, and queue the event for the other replicas if it concerns them."""
        if self._is_known(event):
            return
        self._local.publish(event)
        if type(event).__name__ in _SHARED:
            self._waiting.pop(event, None)  # its version is older
            self._waiting[event] = None
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popitem(last=False)
            self._arrived.set()

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Call `listener` with each event of these types, of any replica; return a function that unsubscribes."""
        return self._local.subscribe(types, listener)

    async def run(self) -> None:
        """Send queued events until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while self._waiting:
                event, _ = self._waiting.popitem(last=False)
                try:
                    await self._send(event)
                except StateUnavailable:
                    self._waiting[event] = None
                    self._waiting.move_to_end(event, last=False)
                    await anyio.sleep(_RETRY_SECONDS)

    async def aclose(self) -> None:
        """Send the events that are still queued, as far as the channel takes them."""
        with suppress(StateUnavailable):
            while self._waiting:
                await self._send(self._waiting.popitem(last=False)[0])

    async def _send(self, event: DomainEvent) -> None:
        message = {"from": self._own, "event": type(event).__name__, "values": asdict(event)}
        await self._channel.send(json.dumps(message).encode())

    def _receive(self, content: bytes) -> None:
        message = json.loads(content)
        kind = _SHARED.get(message["event"])  # a newer version may send other events
        if kind is None or message["from"] == self._own:
            return
        event = kind(**message["values"])
        if not self._is_known(event):
            self._local.publish(event)

    def _is_known(self, event: DomainEvent) -> bool:
        """Return whether an event reports a version of a resource that was the last one to be reported; note it."""
        if not isinstance(event, ResourceUpdated) or event.version is None:
            return False
        if self._versions.get(event.uri) == event.version:
            return True
        self._versions[event.uri] = event.version
        self._versions.move_to_end(event.uri)
        if len(self._versions) > _MOST_VERSIONS:
            self._versions.popitem(last=False)
        return False
