"""EventReader: reads the stream of the event log for operators, from a time on, without changing it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime

import anyio
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tfo_mcp.infrastructure.nats.connection import SUBJECTS, JetStream

_BATCH = 200
_LOOK_SECONDS = 1.0
_FORGET_SECONDS = 30.0


class EventReader:
    """Reads CloudEvents as they are stored.

    Args:
        subject: subject of the events, which may have wildcards of NATS, without the prefix `tfo.mcp.events.`.
    """

    def __init__(self, stream: JetStream, name: str, subject: str = ">") -> None:
        self._stream = stream
        self._name = name
        self._subject = f"{SUBJECTS}.{subject}"

    async def since(self, time: datetime | None, *, follow: bool = False) -> AsyncIterator[bytes]:
        """Yield the events since a time, or of all time; with `follow`, also those to come, until cancelled.

        Raises:
            EventLogUnavailable: NATS cannot be reached.
        """
        consumer = await self._stream.call(lambda context: self._consumer(context, time))
        while True:
            messages = []
            with suppress(NatsTimeoutError, TimeoutError):
                messages = await consumer.fetch(_BATCH, timeout=_LOOK_SECONDS)
            for message in messages:
                yield message.data
            if not messages and not follow:
                return
            await anyio.lowlevel.checkpoint()

    async def latest(self, number: int) -> list[bytes]:
        """Return the latest events, oldest first.

        Raises:
            EventLogUnavailable: NATS cannot be reached.
        """
        found: list[bytes] = []
        async for event in self.since(None):
            found = [*found[-number + 1 :], event] if number > 1 else [event]
        return found[:number]

    async def _consumer(self, context: JetStreamContext, time: datetime | None) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=_FORGET_SECONDS)
        if time is not None:
            config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, time
        return await context.pull_subscribe(self._subject, stream=self._name, config=config)
