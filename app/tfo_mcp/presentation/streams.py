"""Resumable streams: event ids for a client, positions for the stream log.

An event id is `{stream}-{number}`. A client can name any stream of its own session and none of another's, since the
session is part of where the log looks.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from secrets import token_hex

from tfo_mcp.application.ports import StreamId, StreamLog
from tfo_mcp.domain.ids import SessionId


@dataclass(frozen=True, slots=True)
class ResumableStream:
    """One stream of frames that can be read again from any event."""

    log: StreamLog
    stream: StreamId

    @property
    def name(self) -> str:
        """The stream's name within its session."""
        return self.stream.name

    @property
    def first_event_id(self) -> str:
        """The id of the empty event that a stream may begin with: everything comes after it."""
        return f"{self.stream.name}-0"

    async def append(self, frame: bytes) -> str:
        """Keep a frame and return its event id."""
        return f"{self.stream.name}-{await self.log.append(self.stream, frame)}"

    async def finish(self) -> None:
        """Nothing more comes on this stream."""
        await self.log.finish(self.stream)

    async def ended(self) -> None:
        """Wait until the stream is finished or its session is no more."""
        async for _ in self.log.follow(self.stream, sys.maxsize):
            raise AssertionError("no event has so high a number")

    async def follow(self, after: int) -> AsyncIterator[tuple[str, bytes]]:
        """Yield event ids and frames after event number `after`, to the stream's end."""
        async for number, frame in self.log.follow(self.stream, after):
            yield f"{self.stream.name}-{number}", frame


class Streams:
    """Opens new streams of sessions and finds those that a client wants to resume."""

    def __init__(self, log: StreamLog) -> None:
        self._log = log

    async def open(self, session_id: SessionId, account: str) -> ResumableStream:
        """Return a new stream of the session, charged to an account."""
        stream = StreamId(session_id, token_hex(6))
        await self._log.create(stream, account)
        return ResumableStream(self._log, stream)

    async def find(self, session_id: SessionId, event_id: str) -> tuple[ResumableStream, int] | None:
        """Return the stream that an event belongs to and the event's number; None when it is not kept."""
        name, _, number = event_id.partition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        stream = StreamId(session_id, name)
        if not await self._log.exists(stream):
            return None
        return ResumableStream(self._log, stream), int(number)
