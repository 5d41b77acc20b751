"""RedisStreamLog: resumable streams that any replica can read.

The frames of a stream are a Redis Stream. A follower reads, and then waits for a message that the stream has changed,
which the process receives on its one connection for messages. Knows sessions only by their ids.
"""

from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import anyio

from tfo_mcp.application.ports import StreamId
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.infrastructure.redis.backlog import Backlog, Waiting
from tfo_mcp.infrastructure.redis.client import RedisClient
from tfo_mcp.infrastructure.redis.replicas import Replicas
from tfo_mcp.infrastructure.redis.subscriber import Subscriber

_SESSION_BYTES = 4 * 1024 * 1024  # maximum bytes of frames kept for one session
_PAGE = 100  # frames read at once
_LOOK_AGAIN_SECONDS = 5.0  # in case that a message was lost, or the writer was killed
_WRITER_SECONDS = 3.0  # in which a writer renews its lease after Redis was down, before its stream counts as abandoned
_RETRY_SECONDS = 0.5
_KEPT_LONGER_SECONDS = 3600.0  # than a session's idle time: for keys that no replica is left to delete


class RedisStreamLog:
    """Keeps the latest frames of each stream. A session keeps at most 4 MiB.

    Args:
        history: maximum frames of one stream.
        account_bytes: maximum bytes of one account's frames.
        idle_seconds: idle time of sessions, after which their streams may go.
        kept_streams: maximum streams of one session.
    """

    def __init__(
        self,
        client: RedisClient,
        subscriber: Subscriber,
        replicas: Replicas,
        *,
        history: int,
        account_bytes: int,
        idle_seconds: float,
        kept_streams: int = 64,
    ) -> None:
        self._client = client
        self._replicas = replicas
        self._history = history
        self._account_bytes = account_bytes
        self._kept_streams = kept_streams
        self._keep_ms = int((idle_seconds + _KEPT_LONGER_SECONDS) * 1000)
        self._followers: Counter[bytes] = Counter()
        self._changed: dict[bytes, anyio.Event] = {}
        self._backlog = Backlog()
        self._tokens = count(1)
        subscriber.receive("wake", self._wake)
        subscriber.call_when_connected(self._wake_all)

    async def create(self, stream: StreamId, account: str) -> None:
        """Create a stream; over the limit, the oldest finished stream of the session is dropped."""
        await self._client.run("stream_create", *stream, account, self._replicas.own, self._kept_streams, self._keep_ms)

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Add a frame and return its number, 0 for an unknown stream; over a limit, the oldest frames are dropped."""
        waiting = Waiting(stream, frame, f"{self._replicas.own}-{next(self._tokens)}")
        try:
            self._backlog.check(stream)
            return await self._append(waiting)
        except StateUnavailable:
            self._backlog.add(waiting)
            raise

    async def finish(self, stream: StreamId) -> None:
        """Mark the stream as complete."""
        try:
            self._backlog.check(stream)
            await self._client.run("stream_finish", *stream)
        except StateUnavailable:
            self._backlog.add(Waiting(stream, None))
            raise

    async def exists(self, stream: StreamId) -> bool:
        """Return whether the stream is stored."""
        return bool(await self._client.run("stream_exists", *stream))

    async def follow(self, stream: StreamId, after: int, reader: str | None = None) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the stored frames with numbers above `after`, then new ones, until the stream is finished.

        A stream ends, too, when the process that writes it has been killed, and for a reader when another one has
        claimed it. While Redis is down, no frames come.
        """
        key = f"{stream.session_id}:{stream.name}".encode()
        self._followers[key] += 1
        try:
            was_abandoned = False
            while True:
                changed = self._changed.setdefault(key, anyio.Event())
                page = await self._read(stream, after, reader)
                if page is None:
                    return
                state, frames = page
                for number, frame in frames:
                    after = int(number)
                    yield after, frame
                if len(frames) < _PAGE and (state == b"finished" or (state == b"abandoned" and was_abandoned)):
                    return
                was_abandoned = state == b"abandoned"
                if not frames:
                    with anyio.move_on_after(_WRITER_SECONDS if was_abandoned else _LOOK_AGAIN_SECONDS):
                        await changed.wait()
        finally:
            self._followers[key] -= 1
            if not self._followers[key]:
                del self._followers[key]
                self._changed.pop(key, None)

    async def take_over(self, stream: StreamId) -> bool:
        """Continue a stream that is finished or whose writer was killed; False if its writer continues it."""
        return bool(await self._client.run("stream_take_over", *stream, self._replicas.own))

    async def claim(self, stream: StreamId, reader: str, *, resumes: bool) -> bool:
        """Record the reader of the session's standalone stream; False if another reads it, unless it is resumed."""
        given = (self._replicas.own, f"{reader} {stream.name}", int(resumes), self._keep_ms)
        return bool(await self._client.run("reader_claim", stream.session_id, *given))

    async def release(self, stream: StreamId, reader: str) -> None:
        """Record that a reader has left."""
        await self._client.run("reader_release", stream.session_id, self._replicas.own, f"{reader} {stream.name}")

    async def is_read(self, stream: StreamId) -> bool:
        """Return whether a reader has claimed the stream and has not left."""
        return bool(await self._client.run("reader_exists", *stream))

    async def forget(self, session_id: SessionId) -> None:
        """Drop the session's streams."""
        await self._client.run("stream_forget", session_id)

    async def run(self) -> None:
        """Append frames that waited for Redis, until cancelled."""
        while True:
            waiting = await self._backlog.first()
            try:
                if waiting.frame is None:
                    await self._client.run("stream_finish", *waiting.stream)
                else:
                    await self._append(waiting)
            except StateUnavailable:
                await anyio.sleep(_RETRY_SECONDS)
            else:
                self._backlog.remove_first()

    async def _append(self, waiting: Waiting) -> int:
        stream, frame, token = waiting
        limits = (self._history, _SESSION_BYTES, self._account_bytes)
        return int(await self._client.run("stream_append", *stream, frame, *limits, self._keep_ms, token))

    async def _read(self, stream: StreamId, after: int, reader: str | None) -> Any:
        """Return the state of the stream and its next frames, None if it is unknown or claimed by another reader."""
        own = "" if reader is None else f"{self._replicas.own} {reader} {stream.name}"
        given = (int(3 * _LOOK_AGAIN_SECONDS * 1000), self._keep_ms, self._replicas.own, own)
        while True:
            try:
                return await self._client.run("stream_read", *stream, after, _PAGE, *given)
            except StateUnavailable:
                await anyio.sleep(_RETRY_SECONDS)

    def _wake(self, key: bytes) -> None:
        changed = self._changed.pop(key, None)
        if changed is not None:
            changed.set()

    def _wake_all(self) -> None:
        for key in tuple(self._changed):
            self._wake(key)
