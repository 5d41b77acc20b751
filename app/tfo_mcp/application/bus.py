"""The bus: one typed message in, one typed answer out.

A `Message[R]` is a command (changes something) or a query (changes nothing); `await bus.handle(message)` is an `R` for
the type checker. Knows neither the messages nor the handlers: `tfo_mcp.bootstrap` brings them together.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)
MessageT = TypeVar("MessageT", bound="Message[Any]")


class Message(Generic[R_co]):
    """Something asked of the application, answered with an `R`."""

    __slots__ = ()


class Command(Message[R_co]):
    """Asks for a change."""

    __slots__ = ()


class Query(Message[R_co]):
    """Asks for knowledge."""

    __slots__ = ()


class Bus:
    """Finds the handler of a message by the message's type."""

    def __init__(self) -> None:
        self._handlers: dict[type[Message[Any]], Callable[[Any], Awaitable[Any]]] = {}

    def register(self, message_type: type[MessageT], handler: Callable[[MessageT], Awaitable[Any]]) -> None:
        """Let `handler` answer every message of exactly this type.

        Raises:
            ValueError: the type has a handler already.
        """
        if message_type in self._handlers:
            raise ValueError(f"{message_type.__name__} has a handler already")
        self._handlers[message_type] = handler

    def handle(self, message: Message[R_co]) -> Awaitable[R_co]:
        """Return the answer of the message's handler, to be awaited.

        Raises:
            KeyError: nobody handles this type: an error in the composition.
        """
        return self._handlers[type(message)](message)
