"""Resumable streams in memory: the latest frames of each, within limits for a stream, a session, an account and all.

Knows no session but by its id, and no database.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Sequence

import anyio

from tfo_mcp.application.ports import StreamId
from tfo_mcp.domain.ids import SessionId

_SESSION_BYTES = 4 * 1024 * 1024  # of frames that are kept for a session's client to come back
_FRAME_OVERHEAD = 128  # bytes that a kept frame costs besides its own
_ACCOUNTS = 16  # accounts that may keep as much as an account may
_ACCOUNT_SESSIONS = 64  # sessions of an account that may keep as many streams as a session may


class _Kept:
    """Streams that share a limit, those of them that have frames, oldest first, and the size of these together."""

    __slots__ = ("filled", "size", "streams")

    def __init__(self) -> None:
        self.streams: OrderedDict[StreamId, _Stream] = OrderedDict()
        self.filled: OrderedDict[_Stream, None] = OrderedDict()
        self.size = 0

    def fit(self, limit: int, newest: "_Stream") -> None:
        """Drop the oldest frames until all fit; the latest frame of the newest stream stays."""
        while self.size > limit:
            oldest = next(iter(self.filled))
            if oldest is not newest or len(oldest.frames) > 1:
                oldest.drop_oldest()
            elif len(self.filled) > 1:
                self.filled.move_to_end(oldest)
            else:
                return


class _Stream:
    """The frames of one stream with their numbers; its session, its account and the log count their size."""

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
    """The latest frames of each stream: `history` of them, some megabytes of a session's and of an account's streams.

    Args:
        history: maximum frames of one stream.
        account_bytes: maximum size of one account's frames; all together may have 16 times as much.
        kept_streams: maximum streams of one session, and a 64th of the maximum of one account.
    """

    def __init__(self, history: int, account_bytes: int, kept_streams: int = 64) -> None:
        self._history = history
        self._account_bytes = account_bytes
        self._kept_streams = kept_streams
        self._sessions: defaultdict[SessionId, _Kept] = defaultdict(_Kept)
        self._accounts: defaultdict[str, _Kept] = defaultdict(_Kept)
        self._all = _Kept()

    async def create(self, stream: StreamId, account: str) -> None:
        """Begin to keep a stream; of too many, the oldest that is finished goes."""
        session, owned = self._sessions[stream.session_id], self._accounts[account]
        entry = _Stream(account, (session, owned, self._all))
        session.streams[stream] = owned.streams[stream] = entry
        self._limit_streams(session, self._kept_streams)
        self._limit_streams(owned, self._kept_streams * _ACCOUNT_SESSIONS)

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Add a frame; the oldest ones go when there are too many."""
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
        """Tell whether the stream is kept."""
        return self._find(stream) is not None

    async def follow(self, stream: StreamId, after: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what is kept after `after`, then what comes."""
        entry = self._find(stream)
        while entry is not None:
            changed = entry.changed = entry.changed or anyio.Event()
            for number, frame in tuple(entry.frames):
                if number > after:
                    after = number
                    yield number, frame
            if not entry.frames or entry.frames[-1][0] <= after:  # all that is kept has been read
                if entry.finished:
                    return
                await changed.wait()

    async def forget(self, session_id: SessionId) -> None:
        """Drop the session's streams."""
        session = self._sessions.get(session_id)
        for stream in tuple(session.streams) if session is not None else ():
            self._forget(stream)

    def _find(self, stream: StreamId) -> _Stream | None:
        session = self._sessions.get(stream.session_id)
        return None if session is None else session.streams.get(stream)

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
