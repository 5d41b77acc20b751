"""subscriptions/listen: a long-lived call that streams change notifications."""

from collections.abc import Mapping
from typing import Any

import anyio

from tfo_mcp.application.budgets import Budget
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.changes import ChangeFilter
from tfo_mcp.application.commands import WatchChanges
from tfo_mcp.domain.errors import InvalidParams
from tfo_mcp.domain.events import Topic
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.metadata import SUBSCRIPTION_ID

_TOPICS: Mapping[str, Topic] = {
    "toolsListChanged": "tools",
    "promptsListChanged": "prompts",
    "resourcesListChanged": "resources",
}


class SubscriptionMethods:
    """Sends the changes that clients subscribed to, until they disconnect or the server stops."""

    def __init__(self, bus: Bus, stopping: anyio.Event, streams: Budget) -> None:
        self._bus = bus
        self._stopping = stopping
        self._streams = streams

    async def listen(self, call: Call) -> bytes:
        """Answer subscriptions/listen: acknowledge, then send changes; return a result when the server stops."""
        with self._streams.held(call.facts.account):
            return await self._listen(call)

    async def _listen(self, call: Call) -> bytes:
        await call.outlet.require_stream()
        wanted = call.params["notifications"]
        honoured: dict[str, Any] = {name: True for name in _TOPICS if _flag(wanted, name)}
        topics = frozenset(_TOPICS[name] for name in honoured)
        uris = wanted.get("resourceSubscriptions")
        if uris is not None:
            honoured["resourceSubscriptions"] = uris
        watched = ChangeFilter(topics, frozenset(uris or ()))
        feed = await self._bus.handle(WatchChanges(watched, call.caller, call.facts.account))
        tag = {SUBSCRIPTION_ID: call.id}
        try:
            acknowledged = {"notifications": honoured, "_meta": tag}
            await call.outlet.notify(
                jsonrpc.encode_notification("notifications/subscriptions/acknowledged", acknowledged)
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._end_when_stopping, tasks.cancel_scope)
                while True:
                    for change in await feed.next():
                        await call.outlet.notify(call.era.announce(change, call.id))
        finally:
            feed.close()
        return call.era.finish(call, {"_meta": tag})

    async def _end_when_stopping(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()


def _flag(wanted: Mapping[str, Any], name: str) -> bool:
    value = wanted.get(name, False)
    if not isinstance(value, bool):
        raise InvalidParams(f"Invalid params: notifications.{name} must be true or false")
    return value
