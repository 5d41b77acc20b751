"""NatsReplicaChannel: carries messages between the processes of replicas in a stream of NATS JetStream.

The stream keeps the messages of the last minutes, so a process that was disconnected reads those that it missed. Knows
no message.
"""

from collections.abc import Callable

import anyio
import structlog
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tfo_mcp.application.ports import EventLogUnavailable
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.infrastructure.nats.connection import JetStream

REPLICAS = "tfo.mcp.replicas"
"""The subject of the messages."""

_LOOK_SECONDS = 2.0
_RETRY_SECONDS = 0.5
_FORGET_SECONDS = 30.0
_log = structlog.get_logger("tfo_mcp.nats")


def _ignored(_message: bytes) -> None:
    """Take messages while there is no receiver."""


class NatsReplicaChannel:
    """Sends messages to all replicas, and receives theirs.

    Args:
        connection: connects to the stream, which is created if needed; sending and receiving have one connection each.
        name: the name of the stream.
    """

    def __init__(self, connection: Callable[[], JetStream], name: str) -> None:
        self._sending = connection()
        self._receiving = connection()
        self._name = name
        self._receiver: Callable[[bytes], None] = _ignored
        self._number: int | None = None  # of the latest message that was received, or was there at the start
        self._subscription: JetStreamContext.PullSubscription | None = None
        self.first_read = anyio.Event()
        """Set when messages are received."""

    def receive(self, receiver: Callable[[bytes], None]) -> None:
        """Pass the messages of all replicas to a receiver."""
        self._receiver = receiver

    async def send(self, message: bytes) -> None:
        """Send a message to every replica; those that are disconnected read it later.

        Raises:
            StateUnavailable: NATS cannot be reached.
        """
        try:
            await self._sending.call(lambda context: context.publish(REPLICAS, message))
        except EventLogUnavailable:
            raise StateUnavailable from None

    def works(self) -> bool:
        """Return whether messages of other replicas arrive."""
        return self._subscription is not None

    async def run(self) -> None:
        """Receive messages until cancelled."""
        while True:
            try:
                self._subscription = await self._receiving.call(self._subscribe)
                self.first_read.set()
                while True:
                    await self._take(self._subscription)
            except (EventLogUnavailable, NatsError, OSError) as problem:
                if self._subscription is not None:
                    _log.warning("the connection that receives from nats is lost", reason=type(problem).__name__)
                self._subscription = None
            await anyio.sleep(_RETRY_SECONDS)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sending.aclose()
        await self._receiving.aclose()

    async def _take(self, subscription: JetStreamContext.PullSubscription) -> None:
        """Pass on the next message; where none comes, find out whether NATS still answers."""
        try:
            (message,) = await subscription.fetch(1, timeout=_LOOK_SECONDS)
        except (NatsTimeoutError, TimeoutError):
            await self._receiving.call(lambda context: context.stream_info(self._name))
            return
        self._number = message.metadata.sequence.stream
        try:
            self._receiver(message.data)
        except Exception:
            _log.exception("a message of another replica could not be handled")

    async def _subscribe(self, context: JetStreamContext) -> JetStreamContext.PullSubscription:
        """Return a subscription to the messages that come after the latest known one."""
        latest = (await context.stream_info(self._name)).state.last_seq
        if self._number is None:
            self._number = latest
        elif latest < self._number:  # NATS has lost its data
            self._number = 0
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_FORGET_SECONDS,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._number + 1,
        )
        return await context.pull_subscribe(REPLICAS, stream=self._name, config=config)
