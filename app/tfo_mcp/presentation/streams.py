"""Resumable streams: maps the event ids that clients see to positions in the stream log.

An event id is `{stream}-{number}`. The log looks streams up by session, so a client can resume only the streams of its
own session.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from secrets import token_hex

from tfo_mcp.application.ports import StreamId, StreamLog
from tfo_mcp.domain.ids import SessionId


@dataclass(frozen=True, slots=True)
class ResumableStream:
    """A stream of frames that can be replayed from any event."""

    log: StreamLog
    stream: StreamId

    @property
    def name(self) -> str:
        """The stream's name within its session."""
        return self.stream.name

    @property
    def first_event_id(self) -> str:
        """The id of the empty priming event, which precedes all other events of the stream."""
        return f"{self.stream.name}-0"

    async def append(self, frame: bytes) -> str:
        """Append a frame to the log and return its event id."""
        return f"{self.stream.name}-{await self.log.append(self.stream, frame)}"

    async def finish(self) -> None:
        """Mark the stream as finished: no more frames follow."""
        await self.log.finish(self.stream)

    async def ended(self) -> None:
        """Wait until the stream is finished or its session is closed."""
        async for _ in self.log.follow(self.stream, sys.maxsize):
            raise AssertionError("event number out of range")

    async def follow(self, after: int) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (event id, frame) pairs after event number `after` until the stream ends."""
        async for number, frame in self.log.follow(self.stream, after):
            yield f"{self.stream.name}-{number}", frame


class Streams:
    """Opens new session streams and looks up streams to resume."""

    def __init__(self, log: StreamLog) -> None:
        self._log = log

    async def open(self, session_id: SessionId, account: str) -> ResumableStream:
        """Create and return a stream of the session; its memory is charged to `account`."""
        stream = StreamId(session_id, token_hex(6))
        await self._log.create(stream, account)
        return ResumableStream(self._log, stream)

    async def find(self, session_id: SessionId, event_id: str) -> tuple[ResumableStream, int] | None:
        """Return the stream of an event and the event's number, None if the stream is not in the log."""
        name, _, number = event_id.partition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        stream = StreamId(session_id, name)
        if not await self._log.exists(stream):
            return None
        return ResumableStream(self._log, stream), int(number)
