"""The event bus in the memory of this process: the embedded default.

Listeners are called synchronously and must not block.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from tfo_mcp.application.ports import EventT
from tfo_mcp.domain.events import DomainEvent

_log = structlog.get_logger("tfo_mcp.events")


class MemoryEventBus:
    """Delivers events to the listeners of their exact type."""

    def __init__(self) -> None:
        self._listeners: dict[type[DomainEvent], tuple[tuple[object, Callable[[Any], None]], ...]] = {}

    def publish(self, event: DomainEvent) -> None:
        """Call the listeners; the failure of one is logged and does not affect the others."""
        for _, listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:
                _log.exception("an event listener failed", event_type=type(event).__name__)

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Add a listener for these types; return a function that removes it."""
        subscription = object()
        for event_type in frozenset(types):
            self._listeners[event_type] = (*self._listeners.get(event_type, ()), (subscription, listener))

        def unsubscribe() -> None:
            for event_type in types:
                others = [each for each in self._listeners[event_type] if each[0] is not subscription]
                self._listeners[event_type] = tuple(others)

        return unsubscribe
