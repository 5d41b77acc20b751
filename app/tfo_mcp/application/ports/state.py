"""Ports for state beyond one request: events, sessions, streams, and sealed state that clients carry."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session

EventT = TypeVar("EventT", bound=DomainEvent)


class EventBus(Protocol):
    """Publishes domain events to listeners; never waits for a listener."""

    def publish(self, event: DomainEvent) -> None:
        """Pass the event to every listener of its type."""

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Call `listener` with each event of these types; return an idempotent function that unsubscribes."""


class ReplicaChannel(Protocol):
    """Carries messages between the processes of replicas."""

    async def send(self, message: bytes) -> None:
        """Send a message to every replica.

        Raises:
            StateUnavailable: it cannot be sent now.
        """

    def receive(self, receiver: Callable[[bytes], None]) -> None:
        """Pass the messages of all replicas to `receiver`, its own included, in order; to be called once."""


class Room(StrEnum):
    """Whether there is room for one more session, or which limit is reached."""

    FREE = "free"
    ACCOUNT = "account"
    TOTAL = "total"


class SessionStore(Protocol):
    """Stores sessions. A store may be shared by replicas, each of which may load any session.

    Every method raises StateUnavailable while a store outside the process cannot be reached.
    """

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and restart its idle timeout, None if it is unknown or has expired."""

    async def add(self, session: Session, per_account: int, total: int) -> Room:
        """Store a new session if its account has fewer than `per_account` sessions, and all have fewer than `total`."""

    async def put(self, session: Session) -> None:
        """Store the session's current state; a store in a database records its events in the same transaction.

        Raises:
            Conflict: another replica has changed the session since it was loaded.
            SessionNotFound: another replica has ended it since.
        """

    async def delete(self, session_id: SessionId, events: Sequence[DomainEvent] = ()) -> None:
        """Delete the session, and record its last events as `put` does; a no-op if it is unknown."""

    async def count(self, account: str | None = None) -> int:
        """Return the number of sessions: all, or those of one account."""

    async def largest_account(self, *, anonymous: bool) -> str | None:
        """Return the account with the most sessions, None if there is none; with `anonymous`, anonymous ones only."""

    async def oldest_idle(self, account: str, limit: int) -> Sequence[SessionId]:
        """Return up to `limit` sessions of an account without their own connection, least recently used first."""

    async def reap(self) -> Sequence[SessionId]:
        """Delete the sessions whose idle timeout has expired and return their ids."""


class StreamId(NamedTuple):
    """One resumable stream of one session; `name` is unique within the session."""

    session_id: SessionId
    name: str


class StreamLog(Protocol):
    """Buffers the latest frames of each resumable stream, so that a client can resume after a lost connection.

    The methods raise StateUnavailable while a log outside the process cannot be reached; a follower waits instead.
    """

    async def create(self, stream: StreamId, account: str) -> None:
        """Create a stream whose memory is charged to an account."""

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Append a frame and return its number, starting at 1; return 0 and drop it if the stream is not in the log.

        Raises:
            StateUnavailable: the frame is appended later.
        """

    async def finish(self, stream: StreamId) -> None:
        """Mark the stream as complete, which ends its followers; a no-op if the stream is not in the log.

        Raises:
            StateUnavailable: it is marked later.
        """

    async def exists(self, stream: StreamId) -> bool:
        """Return whether the stream is in the log."""

    def follow(self, stream: StreamId, after: int, reader: str | None = None) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the buffered frames with numbers above `after`, then each new one, until the stream is finished.

        Args:
            reader: the reader that has claimed the stream; then it ends, too, once another one claims it.
        """

    async def forget(self, session_id: SessionId) -> None:
        """Delete all streams of a session and end their followers."""

    async def take_over(self, stream: StreamId) -> bool:
        """Continue a stream that is finished or whose writer was killed; False if its writer continues it."""

    async def claim(self, stream: StreamId, reader: str, *, resumes: bool) -> bool:
        """Record the reader of a session's standalone stream; False if another reads it, unless the client resumes."""

    async def release(self, stream: StreamId, reader: str) -> None:
        """Record that a reader has left; a no-op if another one has claimed since."""

    async def is_read(self, stream: StreamId) -> bool:
        """Return whether a reader has claimed the stream and has not left."""


class Use(StrEnum):
    """How a process uses a session."""

    OPEN = "open"
    """A call is in flight, or a stream or a connection is open."""
    CALLS = "calls"
    """A call is in flight."""


class SessionBus(Protocol):
    """Relays a client's response or cancellation to the process of the call, and asks which sessions are used."""

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Send the frame to every process, including this one; processes without the session ignore it.

        Raises:
            StateUnavailable: it could not be sent.
        """

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Call `receiver` with each published frame; return a function that unsubscribes."""

    def report_use(self, use: Use, in_use: Callable[[SessionId], bool]) -> None:
        """Let `used` know the sessions that this process uses in one way."""

    async def used(self, session_ids: Sequence[SessionId], use: Use = Use.OPEN) -> Collection[SessionId]:
        """Return those of the sessions that any process uses in this way.

        Raises:
            StateUnavailable: a process could not be asked, or did not answer in time.
        """


PostReceiver = Callable[[str, str, bytes], Awaitable[bytes | None]]
"""Receives the names of a stream and of a caller, and a message.

Returns the reply; None if the caller has no such stream.
"""


class PostRelay(Protocol):
    """Passes messages of HTTP+SSE, which clients post to any process, to the process that has the client's stream."""

    def new_stream(self) -> str:
        """Return an unguessable name for a stream of this process, by which every process finds it."""

    def receive(self, receiver: PostReceiver) -> Callable[[], None]:
        """Pass messages for streams of this process to a receiver; return a function that removes it."""

    async def post(self, stream: str, caller: str, message: bytes) -> bytes | None:
        """Return the receiver's reply; None if no process has the stream.

        Raises:
            StateUnavailable: its process cannot be reached, or did not reply in time; it may have received the message.
        """


class Sealer(Protocol):
    """Protects state that clients carry and must return unaltered."""

    def seal(self, payload: bytes) -> str:
        """Return the payload as text that cannot be forged without the key."""

    def unseal(self, sealed: str) -> bytes | None:
        """Return the payload, or None if the text was not created by `seal` with the same key."""
