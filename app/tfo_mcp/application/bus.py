"""The bus: dispatches typed messages to their handlers and returns typed results.

A `Message[R]` is a command (changes state) or a query (does not). `await bus.handle(message)` has the type `R`. The
bus knows neither messages nor handlers: `tfo_mcp.bootstrap` registers them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)
MessageT = TypeVar("MessageT", bound="BusMessage[Any]")


class BusMessage(Generic[R_co]):
    """A request to the application with a result of type `R`."""

    __slots__ = ()


class Command(BusMessage[R_co]):
    """A message that may change state."""

    __slots__ = ()


class Query(BusMessage[R_co]):
    """A message that changes no state."""

    __slots__ = ()


class Bus:
    """Dispatches messages by their exact type."""

    def __init__(self) -> None:
        self._handlers: dict[type[BusMessage[Any]], Callable[[Any], Awaitable[Any]]] = {}

    def register(self, message_type: type[MessageT], handler: Callable[[MessageT], Awaitable[Any]]) -> None:
        """Register the handler for messages of exactly this type.

        Raises:
            ValueError: the type already has a handler.
        """
        if message_type in self._handlers:
            raise ValueError(f"{message_type.__name__} already has a handler")
        self._handlers[message_type] = handler

    def handle(self, message: BusMessage[R_co]) -> Awaitable[R_co]:
        """Return the awaitable result of the message's handler.

        Raises:
            KeyError: no handler is registered for this type: a composition bug.
        """
        return self._handlers[type(message)](message)
