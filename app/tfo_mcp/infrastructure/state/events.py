"""The event bus in this process's memory: the embedded default. Listeners run at once and must not wait."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from tfo_mcp.application.ports import EventT
from tfo_mcp.domain.events import DomainEvent

_log = structlog.get_logger("tfo_mcp.events")


class MemoryEventBus:
    """Listeners by event type."""

    def __init__(self) -> None:
        self._listeners: dict[type[DomainEvent], dict[object, Callable[[Any], None]]] = {}

    def publish(self, event: DomainEvent) -> None:
        """Call the listeners; one that fails is logged and hinders nobody."""
        listeners = self._listeners.get(type(event))
        if not listeners:
            return
        for listener in tuple(listeners.values()):
            try:
                listener(event)
            except Exception:
                _log.exception("an event listener failed", event_type=type(event).__name__)

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Add a listener for these types."""
        subscription = object()
        for event_type in types:
            self._listeners.setdefault(event_type, {})[subscription] = listener

        def unsubscribe() -> None:
            for event_type in types:
                self._listeners[event_type].pop(subscription, None)

        return unsubscribe
