"""Request bodies: read whole, with a limit on size and on time."""

from asyncio import CancelledError, Task, current_task

from starlette.types import Receive

from transports.http.patience import Patience


class BodyRefused(Exception):
    """The body is not taken; carries the HTTP status and what to change."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class ClientLeft(Exception):
    """The connection ended before the body did: there is nobody to answer."""


class BodyReader:
    """Reads bodies of at most `limit` bytes that arrive before `patience` is over."""

    def __init__(self, limit: int, patience: Patience) -> None:
        self._limit = limit
        self._patience = patience

    async def read(self, length: bytes | None, receive: Receive) -> bytes:
        """Return the body; `length` is the Content-Length header.

        Raises:
            BodyRefused: it is too large or too slow.
            ClientLeft: the client has left.
        """
        if length is not None and length.isdigit() and int(length) > self._limit:
            raise self._too_large()
        reading = _Reading()
        self._patience.start(reading.give_up)
        try:
            return await self._read(receive)
        except CancelledError:
            if not reading.given_up:
                raise
            reading.task.uncancel()
            raise BodyRefused(408, f"The body did not arrive within {self._patience.seconds:g} seconds") from None
        finally:
            self._patience.stop(reading.give_up)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join((*parts, part)) if parts else part
            parts.append(part)

    def _too_large(self) -> BodyRefused:
        return BodyRefused(413, f"The body is larger than {self._limit} bytes (setting server.max_body_bytes)")


class _Reading:
    """The task that reads a body."""

    __slots__ = ("given_up", "task")

    def __init__(self) -> None:
        task = current_task()
        assert task is not None
        self.task: Task[object] = task
        self.given_up = False

    def give_up(self) -> None:
        """Interrupt the task."""
        self.given_up = True
        self.task.cancel()
