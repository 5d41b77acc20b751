"""Resumable streams in memory: the latest frames of each, limited per stream, session, account and in total.

Knows sessions only by their ids. Must not know transports.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Sequence

import anyio

from tfo_mcp.application.ports import StreamId
from tfo_mcp.domain.ids import SessionId

_SESSION_BYTES = 4 * 1024 * 1024  # maximum bytes of frames kept for one session
_FRAME_OVERHEAD = 128  # bytes of memory per frame in addition to its contents
_ACCOUNTS = 16  # the total limit, as a multiple of the limit of one account
_ACCOUNT_SESSIONS = 64  # the stream limit of an account, as a multiple of the limit of one session


class _Kept:
    """Streams that share a limit; `filled` are those with frames, oldest first, `size` is the sum of their bytes."""

    __slots__ = ("filled", "size", "streams")

    def __init__(self) -> None:
        self.streams: OrderedDict[StreamId, _Stream] = OrderedDict()
        self.filled: OrderedDict[_Stream, None] = OrderedDict()
        self.size = 0

    def fit(self, limit: int, newest: "_Stream") -> None:
        """Drop the oldest frames until the size is within the limit, but never the last frame of `newest`."""
        while self.size > limit:
            oldest = next(iter(self.filled))
            if oldest is not newest or len(oldest.frames) > 1:
                oldest.drop_oldest()
            elif len(self.filled) > 1:
                self.filled.move_to_end(oldest)
            else:
                return


class _Stream:
    """The numbered frames of one stream; `kept_by` are its session, its account and the log, which count its size."""

    __slots__ = ("account", "changed", "finished", "frames", "kept_by", "last")

    def __init__(self, account: str, kept_by: Sequence[_Kept]) -> None:
        self.account = account
        self.frames: deque[tuple[int, bytes]] = deque()
        self.last = 0
        self.finished = False
        self.changed: anyio.Event | None = None
        self.kept_by = kept_by

    def add(self, frame: bytes) -> None:
        self.last += 1
        for kept in self.kept_by:
            kept.size += len(frame) + _FRAME_OVERHEAD
            if not self.frames:
                kept.filled[self] = None
        self.frames.append((self.last, frame))

    def drop_oldest(self) -> None:
        _, frame = self.frames.popleft()
        for kept in self.kept_by:
            kept.size -= len(frame) + _FRAME_OVERHEAD
            if not self.frames:
                del kept.filled[self]

    def drop_all(self) -> None:
        while self.frames:
            self.drop_oldest()

    def wake(self) -> None:
        if self.changed is not None:
            self.changed.set()
            self.changed = None


class MemoryStreamLog:
    """Keeps the latest frames of each stream. A session keeps at most 4 MiB.

    Args:
        history: maximum frames of one stream.
        account_bytes: maximum bytes of one account's frames; the total limit is 16 times as much.
        kept_streams: maximum streams of one session; one account has 64 times as many.
    """

    def __init__(self, history: int, account_bytes: int, kept_streams: int = 64) -> None:
        self._history = history
        self._account_bytes = account_bytes
        self._kept_streams = kept_streams
        self._sessions: defaultdict[SessionId, _Kept] = defaultdict(_Kept)
        self._accounts: defaultdict[str, _Kept] = defaultdict(_Kept)
        self._all = _Kept()
        self._readers: dict[SessionId, tuple[StreamId, str]] = {}

    async def create(self, stream: StreamId, account: str) -> None:
        """Create a stream; over the limit, the oldest finished stream is dropped."""
        session, owned = self._sessions[stream.session_id], self._accounts[account]
        entry = _Stream(account, (session, owned, self._all))
        session.streams[stream] = owned.streams[stream] = entry
        self._limit_streams(session, self._kept_streams)
        self._limit_streams(owned, self._kept_streams * _ACCOUNT_SESSIONS)

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Add a frame and return its number, 0 for an unknown stream; over a limit, the oldest frames are dropped."""
        entry = self._find(stream)
        if entry is None:
            return 0
        entry.add(frame)
        if len(entry.frames) > self._history:
            entry.drop_oldest()
        session, account, everything = entry.kept_by
        if session.size > _SESSION_BYTES:
            session.fit(_SESSION_BYTES, entry)
        if account.size > self._account_bytes:
            account.fit(self._account_bytes, entry)
        excess = everything.size - self._account_bytes * _ACCOUNTS
        if excess > 0:
            largest = max(self._accounts.values(), key=lambda kept: kept.size)
            largest.fit(largest.size - excess, entry)
        entry.wake()
        return entry.last

    async def finish(self, stream: StreamId) -> None:
        """Mark the stream as complete."""
        entry = self._find(stream)
        if entry is not None:
            entry.finished = True
            entry.wake()

    async def exists(self, stream: StreamId) -> bool:
        """Return whether the stream is stored."""
        return self._find(stream) is not None

    async def follow(self, stream: StreamId, after: int, reader: str | None = None) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the stored frames with numbers above `after`, then new ones, until the stream is finished.

        For a reader it ends, too, when another one has claimed the stream.
        """
        entry = self._find(stream)
        while entry is not None and not self._is_taken(stream, reader):
            changed = entry.changed = entry.changed or anyio.Event()
            for number, frame in tuple(entry.frames):
                if number > after:
                    after = number
                    yield number, frame
            if not entry.frames or entry.frames[-1][0] <= after:  # all stored frames have been yielded
                if entry.finished:
                    return
                await changed.wait()

    async def take_over(self, stream: StreamId) -> bool:
        """Continue a finished stream; False if it is not finished, or not stored."""
        entry = self._find(stream)
        if entry is None or not entry.finished:
            return False
        entry.finished = False
        return True

    async def claim(self, stream: StreamId, reader: str, *, resumes: bool) -> bool:
        """Record the reader of the session's standalone stream; False if another reads it, unless it is resumed."""
        if stream.session_id in self._readers and not resumes:
            return False
        self._readers[stream.session_id] = (stream, reader)
        entry = self._find(stream)
        if entry is not None:
            entry.wake()
        return True

    async def release(self, stream: StreamId, reader: str) -> None:
        """Record that a reader has left."""
        if self._readers.get(stream.session_id) == (stream, reader):
            del self._readers[stream.session_id]

    async def is_read(self, stream: StreamId) -> bool:
        """Return whether a reader has claimed the stream and has not left."""
        return stream.session_id in self._readers and self._readers[stream.session_id][0] == stream

    async def forget(self, session_id: SessionId) -> None:
        """Drop the session's streams."""
        self._readers.pop(session_id, None)
        session = self._sessions.get(session_id)
        for stream in tuple(session.streams) if session is not None else ():
            self._forget(stream)

    def _find(self, stream: StreamId) -> _Stream | None:
        session = self._sessions.get(stream.session_id)
        return None if session is None else session.streams.get(stream)

    def _is_taken(self, stream: StreamId, reader: str | None) -> bool:
        """Return whether another reader than this one has claimed the stream."""
        return reader is not None and self._readers.get(stream.session_id, (stream, reader)) != (stream, reader)

    def _limit_streams(self, kept: _Kept, limit: int) -> None:
        if len(kept.streams) > limit:
            oldest = next((name for name, entry in kept.streams.items() if entry.finished), None)
            if oldest is not None:
                self._forget(oldest)

    def _forget(self, stream: StreamId) -> None:
        session = self._sessions[stream.session_id]
        entry = session.streams.pop(stream)
        owned = self._accounts[entry.account]
        del owned.streams[stream]
        entry.drop_all()
        entry.finished = True
        entry.wake()
        if not session.streams:
            del self._sessions[stream.session_id]
        if not owned.streams:
            del self._accounts[entry.account]
