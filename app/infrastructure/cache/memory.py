"""State between requests in this process's memory: the embedded default.

Sessions expire by idleness, streams keep their latest frames. Two servers in one process may share these objects and
then behave as replicas do. Knows no database; a later adapter replaces it by URL.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import anyio

from app.application.ports import StreamId
from app.domain.ids import SessionId
from app.domain.session import Session

_SESSION_BYTES = 4 * 1024 * 1024  # of frames that are kept for a session's client to come back


class MemorySessionStore:
    """Sessions by id, the longest idle first, so that expiry looks at the front only."""

    def __init__(self, idle_seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._sessions: OrderedDict[SessionId, tuple[float, Session]] = OrderedDict()
        self._owners: Counter[str] = Counter()

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and start its idle time anew; an expired one is as good as forgotten."""
        found = self._sessions.get(session_id)
        now = self._clock()
        if found is None or found[0] < now - self._idle_seconds:
            return None
        self._sessions[session_id] = (now, found[1])
        self._sessions.move_to_end(session_id)
        return found[1]

    async def put(self, session: Session) -> None:
        """Keep the session."""
        if session.id not in self._sessions:
            self._owners[session.owner] += 1
        self._sessions[session.id] = (self._clock(), session)
        self._sessions.move_to_end(session.id)

    async def delete(self, session_id: SessionId) -> None:
        """Forget the session."""
        found = self._sessions.pop(session_id, None)
        if found is None:
            return
        owner = found[1].owner
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]

    async def count(self, owner: str | None = None) -> int:
        """Return how many sessions are kept."""
        return len(self._sessions) if owner is None else self._owners[owner]

    async def reap(self) -> Sequence[SessionId]:
        """Forget the expired sessions."""
        oldest_allowed = self._clock() - self._idle_seconds
        expired: list[SessionId] = []
        for session_id, (used, _) in self._sessions.items():
            if used >= oldest_allowed:
                break
            expired.append(session_id)
        for session_id in expired:
            await self.delete(session_id)
        return expired


@dataclass(slots=True)
class _Stream:
    frames: deque[tuple[int, bytes]] = field(default_factory=deque)
    last: int = 0
    finished: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)

    def wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


@dataclass(slots=True)
class _SessionStreams:
    """A session's streams, oldest first, and how many bytes of frames they hold together."""

    streams: OrderedDict[str, _Stream] = field(default_factory=OrderedDict)
    size: int = 0

    def forget_oldest(self, stream: _Stream) -> None:
        """Drop the oldest frame of a stream."""
        self.size -= len(stream.frames.popleft()[1])

    def fit(self, newest: _Stream) -> None:
        """Drop frames of the oldest streams until all fit; the latest frame of the newest stays."""
        for stream in self.streams.values():
            while self.size > _SESSION_BYTES and len(stream.frames) > (stream is newest):
                self.forget_oldest(stream)


class MemoryStreamLog:
    """The latest frames of each stream, at most `history` of them, some megabytes of a session's streams together."""

    def __init__(self, history: int, kept_streams: int = 64) -> None:
        self._history = history
        self._kept_streams = kept_streams
        self._sessions: dict[SessionId, _SessionStreams] = {}

    async def create(self, stream: StreamId) -> None:
        """Begin to keep a stream; of too many of a session, the oldest that is finished goes."""
        session = self._sessions.setdefault(stream.session_id, _SessionStreams())
        session.streams[stream.name] = _Stream()
        if len(session.streams) > self._kept_streams:
            oldest = next((name for name, entry in session.streams.items() if entry.finished), None)
            if oldest is not None:
                session.size -= sum(len(frame) for _, frame in session.streams.pop(oldest).frames)

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Add a frame; the oldest ones go when there are too many."""
        entry = self._find(stream)
        if entry is None:
            return 0
        session = self._sessions[stream.session_id]
        entry.last += 1
        entry.frames.append((entry.last, frame))
        session.size += len(frame)
        if len(entry.frames) > self._history:
            session.forget_oldest(entry)
        if session.size > _SESSION_BYTES:
            session.fit(entry)
        entry.wake()
        return entry.last

    async def finish(self, stream: StreamId) -> None:
        """Mark the stream as complete."""
        entry = self._find(stream)
        if entry is not None:
            entry.finished = True
            entry.wake()

    async def exists(self, stream: StreamId) -> bool:
        """Tell whether the stream is kept."""
        return self._find(stream) is not None

    async def follow(self, stream: StreamId, after: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what is kept after `after`, then what comes."""
        entry = self._find(stream)
        while entry is not None:
            changed = entry.changed
            for number, frame in tuple(entry.frames):
                if number > after:
                    after = number
                    yield number, frame
            if after >= entry.last:
                if entry.finished:
                    return
                await changed.wait()

    async def forget(self, session_id: SessionId) -> None:
        """Drop the session's streams."""
        session = self._sessions.pop(session_id, None)
        for entry in session.streams.values() if session is not None else ():
            entry.finished = True
            entry.wake()

    def _find(self, stream: StreamId) -> _Stream | None:
        session = self._sessions.get(stream.session_id)
        return None if session is None else session.streams.get(stream.name)


class MemorySessionBus:
    """Hands frames to the other servers that share this object."""

    def __init__(self) -> None:
        self._receivers: list[Callable[[SessionId, bytes], None]] = []

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Hand the frame to every receiver; one that does not know the session ignores it."""
        for receiver in tuple(self._receivers):
            receiver(session_id, frame)

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Add a receiver."""
        self._receivers.append(receiver)
        return lambda: self._receivers.remove(receiver)
