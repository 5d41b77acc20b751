"""Reads streams of NATS JetStream as another program does: with the official client."""

import json
from collections.abc import Sequence
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from tests.support.deadlines import PATIENCE
from tfo_mcp.application.cloud_events import decode
from tfo_mcp.application.ports import RecordedEvent


async def remove_streams(url: str) -> None:
    """Remove all streams of a server."""
    client = await nats.connect(url)
    context = client.jetstream()
    for stream in await context.streams_info():
        await context.delete_stream(stream.config.name or "")
    await client.close()


async def stored_messages(url: str, stream: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the subjects and the JSON of all messages of a stream, in its order; none if there is no stream."""
    client = await nats.connect(url)
    try:
        context = client.jetstream(timeout=PATIENCE)
        try:
            waiting = (await context.stream_info(stream)).state.messages
        except NotFoundError:
            return []
        config = ConsumerConfig(ack_policy=AckPolicy.NONE)
        consumer = await context.pull_subscribe("tfo.mcp.events.>", stream=stream, config=config)
        found: list[tuple[str, dict[str, Any]]] = []
        while len(found) < waiting:
            batch = await consumer.fetch(min(500, waiting - len(found)), timeout=PATIENCE)
            found += [(message.subject, json.loads(message.data)) for message in batch]
        return found
    finally:
        await client.close()


async def stored_events(url: str, stream: str) -> Sequence[RecordedEvent]:
    """Return the recorded events of a stream, in its order."""
    return [decode(json.dumps(event).encode()) for _, event in await stored_messages(url, stream)]
