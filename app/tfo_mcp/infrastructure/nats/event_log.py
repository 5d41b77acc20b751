"""NatsEventLog: the event log in a stream of NATS JetStream.

JetStream drops an event whose id it remembers (`Nats-Msg-Id`), so that a relay may send it again after a failure.
Events of objects with a state (sessions, conversations) are sent one after the other for each object: a cluster that
changes its leader can lose a message and take the next one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from nats.js import JetStreamContext
from nats.js.api import Header

from tfo_mcp.application.cloud_events import CONTENT_TYPE, encode
from tfo_mcp.application.ports import RecordedEvent
from tfo_mcp.infrastructure.nats.connection import SUBJECTS, JetStream

_WITH_STATE = frozenset({"session", "conversation"})


class NatsEventLog:
    """Publishes events as CloudEvents on `tfo.mcp.events.<aggregate>.<event>`."""

    def __init__(self, stream: JetStream) -> None:
        self._stream = stream

    async def append(self, events: Sequence[RecordedEvent]) -> None:
        """Publish events in this order, and return when the stream has them all."""
        for wave in _waves(events):

            async def publish(context: JetStreamContext, wave: Sequence[RecordedEvent] = wave) -> None:
                await _publish(context, wave)

            await self._stream.call(publish)

    def works(self) -> bool:
        """Return whether the last attempt to append succeeded."""
        return self._stream.works()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


async def _publish(context: JetStreamContext, events: Sequence[RecordedEvent]) -> None:
    """Publish events without waiting for each, and wait until all are acknowledged."""
    acknowledged = [
        await context.publish_async(
            f"{SUBJECTS}.{event.aggregate}.{event.type}",
            encode(event),
            headers={Header.MSG_ID: event.id, "Content-Type": CONTENT_TYPE},
        )
        for event in events
    ]
    await asyncio.gather(*acknowledged)


def _waves(events: Sequence[RecordedEvent]) -> list[list[RecordedEvent]]:
    """Return the events in parts that keep their order; each has one event at most of an object with a state."""
    waves: list[list[RecordedEvent]] = []
    following: defaultdict[tuple[str, str], int] = defaultdict(int)
    for event in events:
        key = (event.aggregate, event.subject)
        number = following[key]
        if event.aggregate in _WITH_STATE:
            following[key] = number + 1
        while len(waves) <= number:
            waves.append([])
        waves[number].append(event)
    return waves
