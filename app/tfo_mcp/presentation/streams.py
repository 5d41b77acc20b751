"""Resumable streams: maps the event ids that clients see to positions in the stream log.

An event id is `{stream}-{number}`. The log looks streams up by session, so a client can resume only the streams of its
own session.
"""

import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from secrets import token_hex

from tfo_mcp.application.ports import StreamId, StreamLog
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.protocol.faults import fault_of
from tfo_mcp.value_objects import value_object

_STANDALONE = "s"  # the first letter of the names of standalone streams; the others have hexadecimal names


@contextmanager
def _faults() -> Generator[None]:
    try:
        yield
    except StateUnavailable as problem:
        raise fault_of(problem) from None


@value_object
class ResumableStream:
    """A stream of frames that can be replayed from any event."""

    log: StreamLog
    stream: StreamId

    @property
    def name(self) -> str:
        """The stream's name within its session."""
        return self.stream.name

    @property
    def is_standalone(self) -> bool:
        """Whether the stream carries messages that belong to no request."""
        return self.stream.name.startswith(_STANDALONE)

    async def take_over(self) -> bool:
        """Continue a stream that is finished or whose process was killed; False if its process continues it.

        Raises:
            Fault: the log cannot be reached.
        """
        with _faults():
            return await self.log.take_over(self.stream)

    async def claim(self, reader: str, *, resumes: bool) -> bool:
        """Become the reader of the session's standalone stream; False if another reads it, unless the client resumes.

        Raises:
            Fault: the log cannot be reached.
        """
        with _faults():
            return await self.log.claim(self.stream, reader, resumes=resumes)

    async def release(self, reader: str) -> None:
        """Stop being the reader."""
        with suppress(StateUnavailable):
            await self.log.release(self.stream, reader)

    async def is_read(self) -> bool:
        """Return whether a reader of any process reads the stream, as far as this can be known."""
        with suppress(StateUnavailable):
            return await self.log.is_read(self.stream)
        return True

    @property
    def first_event_id(self) -> str:
        """The id of the empty priming event, which precedes all other events of the stream."""
        return f"{self.stream.name}-0"

    async def append(self, frame: bytes) -> str | None:
        """Append a frame to the log and return its event id, None if it has none yet."""
        try:
            return f"{self.stream.name}-{await self.log.append(self.stream, frame)}"
        except StateUnavailable:
            return None

    async def finish(self) -> None:
        """Mark the stream as finished: no more frames follow."""
        with suppress(StateUnavailable):
            await self.log.finish(self.stream)

    async def ended(self) -> None:
        """Wait until the stream is finished or its session is closed."""
        async for _ in self.log.follow(self.stream, sys.maxsize):
            raise AssertionError("event number out of range")

    async def follow(self, after: int, reader: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (event id, frame) pairs after event number `after` until the stream ends.

        A standalone stream ends, too, when another reader has claimed it.
        """
        async for number, frame in self.log.follow(self.stream, after, reader if self.is_standalone else None):
            yield f"{self.stream.name}-{number}", frame


class Streams:
    """Opens new session streams and looks up streams to resume."""

    def __init__(self, log: StreamLog) -> None:
        self._log = log

    async def open(self, session_id: SessionId, account: str, *, is_standalone: bool = False) -> ResumableStream:
        """Create and return a stream of the session; its memory is charged to `account`.

        Args:
            is_standalone: whether it carries messages that belong to no request.

        Raises:
            Fault: the log cannot be reached.
        """
        stream = StreamId(session_id, (_STANDALONE if is_standalone else "") + token_hex(6))
        with _faults():
            await self._log.create(stream, account)
        return ResumableStream(self._log, stream)

    async def find(self, session_id: SessionId, event_id: str) -> tuple[ResumableStream, int] | None:
        """Return the stream of an event and the event's number, None if the stream is not in the log.

        Raises:
            Fault: the log cannot be reached.
        """
        name, _, number = event_id.partition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        stream = StreamId(session_id, name)
        with _faults():
            if not await self._log.exists(stream):
                return None
        return ResumableStream(self._log, stream), int(number)
