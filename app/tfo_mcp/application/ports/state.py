"""Ports of what outlives a request: events, sessions, streams, and what travels sealed through the client."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session

EventT = TypeVar("EventT", bound=DomainEvent)


class EventBus(Protocol):
    """Carries domain events from those who make them to those who listen; never waits for a listener."""

    def publish(self, event: DomainEvent) -> None:
        """Hand the event to every listener of its type."""

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Call `listener` with each event of these types until the returned function is called, once or more often."""


class SessionStore(Protocol):
    """Keeps the session documents; any replica may ask for any of them."""

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and start its idle time anew; None when it is unknown or has expired."""

    async def put(self, session: Session) -> None:
        """Keep the session as it is now."""

    async def delete(self, session_id: SessionId) -> None:
        """Forget the session; an unknown one is no error."""

    async def count(self, account: str | None = None) -> int:
        """Return the number of live sessions: all, or those of one account."""

    async def largest_account(self, *, anonymous: bool) -> str | None:
        """Return the account with the most sessions, None without sessions; with `anonymous`, only of networks."""

    async def oldest_idle(self, account: str, limit: int) -> Sequence[SessionId]:
        """Return up to `limit` sessions of an account that have no connection of their own, longest unused first."""

    async def reap(self) -> Sequence[SessionId]:
        """Forget the sessions that have been idle too long and return their ids."""


class StreamId(NamedTuple):
    """One resumable stream of one session; `name` is unique within the session."""

    session_id: SessionId
    name: str


class StreamLog(Protocol):
    """Keeps the latest frames of each resumable stream, so that a client can read on after a lost connection."""

    async def create(self, stream: StreamId, account: str) -> None:
        """Begin to keep a stream, charged to an account."""

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Add a frame and return its number; numbers of a stream grow from 1. One that is not kept drops it: 0."""

    async def finish(self, stream: StreamId) -> None:
        """Mark the stream as complete: who follows it comes to its end. One that is not kept is no error."""

    async def exists(self, stream: StreamId) -> bool:
        """Tell whether frames of this stream are kept."""

    def follow(self, stream: StreamId, after: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the kept frames with numbers above `after`, then each new one, until the stream is finished."""

    async def forget(self, session_id: SessionId) -> None:
        """Drop all streams of a session and end those who follow them."""


class SessionBus(Protocol):
    """Carries a client's answer or cancellation to the process that waits for it."""

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Hand the frame to every process, this one included; one that does not serve the session ignores it."""

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Call `receiver` with each frame that is published, until the returned function is called."""


class Sealer(Protocol):
    """Protects what goes through the client's hands and must come back unaltered."""

    def seal(self, payload: bytes) -> str:
        """Return the payload as a text that only this server can make."""

    def unseal(self, sealed: str) -> bytes | None:
        """Return the payload, or None when the text was not made by `seal` with the same key."""
