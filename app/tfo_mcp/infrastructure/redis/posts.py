"""RedisPostRelay: passes messages that clients post to the replica that has the client's stream (HTTP+SSE).

A stream's name begins with the id of its replica, which is also the name of the replica's channel. Replies return on
the channel of the replica that asked. Knows messages only as bytes.
"""

import json
from collections import deque
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import anyio
import structlog

from tfo_mcp.application.ports import PostReceiver, PostRelay
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.infrastructure.redis.client import RedisClient
from tfo_mcp.infrastructure.redis.replicas import Replicas
from tfo_mcp.infrastructure.redis.subscriber import Subscriber

_REPLY_SECONDS = 30.0  # a client that has many requests in flight waits until some of them have ended
_CHANNEL = "posts:"
_MOST_CHARACTERS = 64  # of the name of a stream
_log = structlog.get_logger("tfo_mcp.redis")


class _Reply:
    """A reply that is awaited."""

    def __init__(self) -> None:
        self.arrived = anyio.Event()
        self.content: bytes | None = None


class RedisPostRelay:
    """Passes messages between the replicas that share a Redis; `local` passes those for streams of this process."""

    def __init__(self, client: RedisClient, subscriber: Subscriber, replicas: Replicas, local: PostRelay) -> None:
        self._client = client
        self._own = replicas.own
        self._local = local
        self._replies: dict[str, _Reply] = {}
        self._arrived: deque[tuple[dict[str, Any], bytes]] = deque()
        self._arrival = anyio.Event()
        subscriber.receive(_CHANNEL + self._own, self._receive)

    def new_stream(self) -> str:
        """Return a name that begins with the id of this replica."""
        return f"{self._own}-{self._local.new_stream()}"

    def receive(self, receiver: PostReceiver) -> Callable[[], None]:
        """Add a receiver; return a function that removes it."""
        return self._local.receive(receiver)

    async def post(self, stream: str, caller: str, message: bytes) -> bytes | None:
        """Return the reply of the replica that has the stream; None if no replica has it.

        Raises:
            StateUnavailable: the replica cannot be reached, or did not reply in time.
        """
        owner, _, _ = stream.partition("-")
        if owner == self._own:
            return await self._local.post(stream, caller, message)
        if len(stream) > _MOST_CHARACTERS:
            return None
        name, reply = token_hex(6), _Reply()
        self._replies[name] = reply
        try:
            head = {"post": name, "from": self._own, "stream": stream, "caller": caller}
            if not await self._send(owner, head, message):
                return None
            with anyio.fail_after(_REPLY_SECONDS):
                await reply.arrived.wait()
        except TimeoutError:
            raise StateUnavailable from None
        finally:
            del self._replies[name]
        return reply.content

    async def run(self) -> None:
        """Serve the messages that other replicas pass on, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                await self._arrival.wait()
                self._arrival = anyio.Event()
                while self._arrived:
                    tasks.start_soon(self._serve, *self._arrived.popleft())

    async def _serve(self, head: dict[str, Any], message: bytes) -> None:
        reply: bytes | None = None
        try:
            reply = await self._local.post(head["stream"], head["caller"], message)
        except Exception as problem:  # a defect must not end the other messages
            _log.exception("a message of another replica could not be handled", kind=type(problem).__name__)
        try:
            await self._send(head["from"], {"reply": head["post"], "known": reply is not None}, reply or b"")
        except StateUnavailable:
            _log.warning("a reply to another replica could not be sent")

    async def _send(self, replica: str, head: dict[str, Any], content: bytes) -> bool:
        """Send a message to a replica; return whether there is such a replica.

        Raises:
            StateUnavailable: Redis is down, or the replica is alive, but does not receive at the moment.
        """
        message = json.dumps(head).encode() + b"\n" + content
        received = int(await self._client.run("publish_to", _CHANNEL + replica, replica, message))
        if received < 0:
            raise StateUnavailable
        return received > 0

    def _receive(self, message: bytes) -> None:
        first, _, content = message.partition(b"\n")
        head = json.loads(first)
        if "post" in head:
            self._arrived.append((head, content))
            self._arrival.set()
        elif (reply := self._replies.get(head["reply"])) is not None:
            reply.content = content if head["known"] else None
            reply.arrived.set()
