"""Subscriber: the one connection of this process that receives messages from Redis.

Owns its reconnection. Messages that are published while it is disconnected are lost; `call_when_connected` lets those
who wait for messages look again. Knows no message.
"""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import anyio
import structlog
from redis.exceptions import RedisError

from tfo_mcp.infrastructure.redis.client import RedisClient

_PING_SECONDS = 1.0
_SILENCE_SECONDS = 3.0  # without an answer to pings for so long, the connection is given up
_RETRY_SECONDS = 0.2
_log = structlog.get_logger("tfo_mcp.redis")

Receiver = Callable[[bytes], None]


class Subscriber:
    """Receives messages on channels and passes them to the channel's receiver, in order."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._receivers: dict[bytes, Receiver] = {}
        self._on_connected: list[Callable[[], None]] = []
        self.is_connected = False

    def receive(self, channel: str, receiver: Receiver) -> None:
        """Pass the messages of a channel to a receiver; to be called before `run`."""
        self._receivers[(self._client.prefix + channel).encode()] = receiver

    def call_when_connected(self, function: Callable[[], None]) -> None:
        """Call a function after each connection, since messages may have been missed before."""
        self._on_connected.append(function)

    async def run(self) -> None:
        """Receive messages until cancelled."""
        while True:
            with suppress(RedisError, OSError, TimeoutError):
                await self._receive()
            if self.is_connected:
                _log.warning("the connection that receives from redis is lost")
            self.is_connected = False
            await anyio.sleep(_RETRY_SECONDS)

    async def _receive(self) -> None:
        async with self._client.redis.pubsub() as subscription:
            with anyio.fail_after(_SILENCE_SECONDS):
                await subscription.subscribe(*self._receivers)
            pending, heard = len(self._receivers), monotonic()
            while True:
                message = await subscription.get_message(timeout=_PING_SECONDS)
                if message is None:
                    if monotonic() - heard > _SILENCE_SECONDS:
                        raise TimeoutError
                    with anyio.fail_after(_SILENCE_SECONDS):
                        await subscription.ping()
                    continue
                heard = monotonic()
                if message["type"] == "message":
                    self._pass_on(message["channel"], message["data"])
                elif message["type"] == "subscribe":
                    pending -= 1
                    if not pending:
                        self._connected()

    def _connected(self) -> None:
        self.is_connected = True
        for function in self._on_connected:
            function()

    def _pass_on(self, channel: bytes, content: bytes) -> None:
        try:
            self._receivers[channel](content)
        except Exception:
            _log.exception("a message of another replica could not be handled")
