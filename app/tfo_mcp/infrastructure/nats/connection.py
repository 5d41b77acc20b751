"""JetStream: one connection to a NATS server, and the streams that its user needs.

Owns connecting, the streams' configuration and the deadline of each call. Logs and errors never contain the URL. Must
not know events or jobs.
"""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from tfo_mcp.application.ports import EventLogUnavailable
from tfo_mcp.value_objects import value_object

ResultT = TypeVar("ResultT")
SUBJECTS = "tfo.mcp.events"
_CLOSING_SECONDS = 1.0


@value_object
class StreamSettings:
    """How JetStream keeps messages.

    `max_age_seconds` and `max_bytes` bound what is kept, 0 for no limit. `duplicate_seconds` is how long the ids of
    messages are remembered, to drop a message that is sent again. A message of a queue is removed when it is
    acknowledged.
    """

    name: str
    replicas: int
    max_age_seconds: float
    max_bytes: int
    duplicate_seconds: float
    subjects: str = f"{SUBJECTS}.>"
    is_queue: bool = False


class JetStream:
    """Connects when it is first used, and again after a failure. Calls wait for each other.

    Args:
        servers: URLs with the scheme `nats` or `tls`.
        credentials: path of a credentials file of NATS, None if the URL has what is needed or nothing is.
        timeout_seconds: total deadline of a call with connecting.
    """

    def __init__(
        self, servers: list[str], streams: Sequence[StreamSettings], credentials: Path | None, timeout_seconds: float
    ) -> None:
        self._servers = servers
        self._streams = streams
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._is_working = True
        self._turn = anyio.Lock()

    def works(self) -> bool:
        """Return whether the last call succeeded."""
        return self._is_working

    async def call(self, action: Callable[[JetStreamContext], Awaitable[ResultT]]) -> ResultT:
        """Run an action with the streams.

        Raises:
            EventLogUnavailable: the server cannot be reached, refuses the action, or does not answer in time.
        """
        async with self._turn:
            return await self._call(action)

    async def _call(self, action: Callable[[JetStreamContext], Awaitable[ResultT]]) -> ResultT:
        try:
            with anyio.fail_after(self._timeout_seconds):
                context = await self._connected()
                result = await action(context)
        except (NatsError, OSError, TimeoutError, ValueError, EOFError) as problem:
            self._is_working = False
            await self.aclose()
            raise EventLogUnavailable(_reason(problem)) from None
        except BaseException:
            await self.aclose()  # the state of the connection is unknown
            raise
        self._is_working = True
        return result

    async def aclose(self) -> None:
        """Close the connection; a later call connects again."""
        client, self._client, self._context = self._client, None, None
        if client is not None:
            with anyio.move_on_after(_CLOSING_SECONDS, shield=True), suppress(NatsError, OSError):
                await client.close()

    async def _connected(self) -> JetStreamContext:
        if self._client is None or self._context is None or not self._client.is_connected:
            await self.aclose()
            options: dict[str, Any] = {} if self._credentials is None else {"user_credentials": str(self._credentials)}
            if any(server.startswith("tls") for server in self._servers):
                options["tls"] = ssl.create_default_context()
            self._client = await nats.connect(
                self._servers, allow_reconnect=False, error_cb=_ignored, name="tfo-mcp", **options
            )
            context = self._client.jetstream(timeout=self._timeout_seconds)
            for stream in self._streams:
                await _ensure(context, stream)
            self._context = context
        return self._context


async def _ensure(context: JetStreamContext, stream: StreamSettings) -> None:
    """Create a stream, or give the existing one the present settings."""
    wanted = StreamConfig(
        name=stream.name,
        subjects=[stream.subjects],
        retention=RetentionPolicy.WORK_QUEUE if stream.is_queue else RetentionPolicy.LIMITS,
        num_replicas=stream.replicas,
        max_age=stream.max_age_seconds,
        max_bytes=stream.max_bytes or -1,
        duplicate_window=stream.duplicate_seconds,
    )
    try:
        found = (await context.stream_info(stream.name)).config
    except NotFoundError:
        await context.add_stream(wanted)
        return
    differs = any(
        getattr(found, name) != getattr(wanted, name)
        for name in ("subjects", "num_replicas", "max_age", "max_bytes", "duplicate_window")
    )
    if differs:
        await context.update_stream(wanted)


async def _ignored(_problem: Exception) -> None:
    """Leave errors of the connection to the calls, which fail because of them."""


def _reason(problem: Exception) -> str:
    if isinstance(problem, BadRequestError):
        return f"NATS refuses the request: {problem.description}"
    if isinstance(problem, TimeoutError):
        return "NATS does not answer in time"
    return type(problem).__name__
