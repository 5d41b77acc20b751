"""Events: the recorder of domain events, the outbox, the event log, the relay between them, and webhooks."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

import anyio
import structlog

from tfo_mcp.application.event_recorder import EventRecorder
from tfo_mcp.application.event_records import EventRecords
from tfo_mcp.application.event_relay import EventRelay
from tfo_mcp.application.ports import DeadLetter, EventBus, EventLog, Outbox, WorkQueue
from tfo_mcp.application.webhooks import WebhookLog
from tfo_mcp.bootstrap.telemetry import Observation, show_queue
from tfo_mcp.bootstrap.webhooks import WebhookDelivery, visibility_seconds, webhook_delivery
from tfo_mcp.domain.events import CONVERSATION_EVENTS, SESSION_EVENTS, DomainEvent
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.events_section import MEMORY
from tfo_mcp.infrastructure.state.event_log import MemoryEventLog, MemoryOutbox
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.nats.connection import JetStream, StreamSettings
    from tfo_mcp.infrastructure.nats.reader import EventReader
    from tfo_mcp.infrastructure.nats.replica_channel import NatsReplicaChannel
    from tfo_mcp.infrastructure.storage.database import Database

_MOST_IN_MEMORY = 100_000
_MESSAGE_SECONDS = 120.0  # for which messages between replicas are kept
_IN_MEMORY = "events.url: events and jobs are in the memory of each server; name a NATS server"
_log = structlog.get_logger("tfo_mcp.events")


@value_object
class EventPipeline:
    """The way of an event: recorder, outbox, relay, event log.

    `recorder` replaces the event bus that it was made from. `is_durable`: the outbox is in the database, and the events
    of objects that are stored there are put into it in the same transaction. `written` waits until the events of a call
    are stored, None if calls do not wait. `webhooks` is None if the settings name none.
    """

    recorder: EventRecorder
    relay: EventRelay
    log: EventLog
    outbox: Outbox
    is_durable: bool
    written: Callable[[], Awaitable[None]] | None
    webhooks: WebhookDelivery | None

    @property
    def dropped(self) -> int:
        """Events that were dropped because a buffer in memory was full."""
        held = self.outbox.dropped if isinstance(self.outbox, MemoryOutbox) else 0
        return self.recorder.dropped + held

    async def run(self) -> None:
        """Record, relay and deliver until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.recorder.run)
            tasks.start_soon(self.relay.run)
            if self.webhooks is not None:
                tasks.start_soon(self.webhooks.runner.run)

    async def aclose(self) -> None:
        """Record and relay what is left, within seconds."""
        await self.recorder.aclose()
        await self.relay.aclose()
        if self.webhooks is not None:
            await self.webhooks.aclose()


def event_pipeline(
    settings: Settings, bus: EventBus, database: "Database | None", *, stores_sessions: bool
) -> EventPipeline | None:
    """Return the pipeline of a server, None if nothing reads its events: there is no event log and no webhook.

    The outbox is in the database if the event log outlives the process.

    Args:
        bus: the event bus of this process, or the one that replicas share.
        stores_sessions: whether the sessions are in the database, too.
    """
    section = settings.events
    if section.url == MEMORY and not section.webhooks:
        return None
    log = event_log_of(settings)
    outbox: Outbox = MemoryOutbox(_MOST_IN_MEMORY)
    is_durable = database is not None and section.url != MEMORY
    if database is not None and is_durable:
        from tfo_mcp.infrastructure.storage.outbox import SqlOutbox

        outbox = SqlOutbox(database, token_hex(8))
    webhooks = webhook_delivery(settings, _work_queue(settings)) if section.webhooks else None
    if webhooks is not None:
        log = WebhookLog(log, webhooks.queue, webhooks.targets)
    relay = EventRelay(outbox, log, _report)
    elsewhere = stored_events(stores_sessions=stores_sessions) if is_durable else ()
    recorder = EventRecorder(bus, outbox, EventRecords(), relay.notify, elsewhere)
    written = recorder.written if is_durable and section.durability == "calls" else None
    return EventPipeline(recorder, relay, log, outbox, is_durable, written, webhooks)


def event_log_of(settings: Settings) -> EventLog:
    """Return the event log of the settings; it connects when it is first used.

    Raises:
        ConfigurationError: it needs an extra that is not installed.
    """
    if settings.events.url == MEMORY:
        return MemoryEventLog()
    try:
        from tfo_mcp.infrastructure.nats.event_log import NatsEventLog
    except ImportError:
        raise ConfigurationError(("events.url needs the package's extra: pip install 'tfo-mcp[nats]'",)) from None
    return NatsEventLog(_jet_stream(settings, [_stream(settings)]))


def replica_channel(settings: Settings) -> "NatsReplicaChannel":
    """Return what carries messages between servers with the same event log in NATS.

    Raises:
        ConfigurationError: it needs an extra that is not installed.
    """
    event_log_of(settings)
    from tfo_mcp.infrastructure.nats.replica_channel import REPLICAS, NatsReplicaChannel

    stream = replace(
        _stream(settings),
        name=f"{settings.events.stream}_REPLICAS",
        subjects=REPLICAS,
        max_age_seconds=_MESSAGE_SECONDS,
        max_bytes=0,
        duplicate_seconds=_MESSAGE_SECONDS,
    )
    return NatsReplicaChannel(partial(_jet_stream, settings, [stream]), stream.name)


def _jet_stream(settings: Settings, streams: "Sequence[StreamSettings]") -> "JetStream":
    from tfo_mcp.infrastructure.nats.connection import JetStream

    section = settings.events
    return JetStream(section.url.split(","), streams, section.credentials_file, section.timeout_seconds)


def _stream(settings: Settings) -> "StreamSettings":
    """Return the stream of the event log."""
    from tfo_mcp.infrastructure.nats.connection import StreamSettings

    section = settings.events
    duplicate_seconds = min(section.duplicate_window_seconds, section.max_age_seconds)
    return StreamSettings(
        section.stream, section.replicas, section.max_age_seconds, section.max_bytes, duplicate_seconds
    )


def _work_queue(settings: Settings) -> WorkQueue | None:
    """Return the work queue in NATS, None if events are in memory."""
    if settings.events.url == MEMORY:
        return None
    event_log_of(settings)
    from tfo_mcp.infrastructure.nats.work_queue import DEAD, WORK, NatsWorkQueue

    events = _stream(settings)
    work = replace(events, name=f"{events.name}_WORK", subjects=f"{WORK}.>", max_age_seconds=0.0, is_queue=True)
    dead = replace(events, name=f"{events.name}_DEAD", subjects=f"{DEAD}.>")
    connection = partial(_jet_stream, settings, [work, dead])
    return NatsWorkQueue(connection, work.name, dead.name, visibility_seconds(settings))


def event_reader(settings: Settings, subject: str) -> "EventReader":
    """Return what reads the event log of the settings for an operator.

    Raises:
        ConfigurationError: the event log is in the memory of a server, or the extra is not installed.
    """
    if settings.events.url == MEMORY:
        raise ConfigurationError((_IN_MEMORY,))
    event_log_of(settings)
    from tfo_mcp.infrastructure.nats.reader import EventReader

    return EventReader(_jet_stream(settings, [_stream(settings)]), settings.events.stream, subject)


async def dead_letters(settings: Settings) -> Sequence[DeadLetter]:
    """Return the jobs that were given up, oldest first.

    Raises:
        ConfigurationError: they are in the memory of a server, or the extra is not installed.
        WorkQueueUnavailable: NATS cannot be reached.
    """
    queue = _shared_queue(settings)
    try:
        return await queue.dead()
    finally:
        await queue.aclose()


async def retry_dead_letters(settings: Settings, wanted: Callable[[DeadLetter], bool]) -> int:
    """Add the jobs of some dead letters to the queue again, and return their number.

    Raises:
        ConfigurationError: they are in the memory of a server, or the extra is not installed.
        WorkQueueUnavailable: NATS cannot be reached.
    """
    queue = _shared_queue(settings)
    try:
        letters = [letter for letter in await queue.dead() if wanted(letter)]
        for letter in letters:
            await queue.retry(letter)
        return len(letters)
    finally:
        await queue.aclose()


def _shared_queue(settings: Settings) -> WorkQueue:
    queue = _work_queue(settings)
    if queue is None:
        raise ConfigurationError((_IN_MEMORY,))
    return queue


def stored_events(*, stores_sessions: bool) -> tuple[type[DomainEvent], ...]:
    """Return the types of events that stores in a database record in the transactions of their aggregates."""
    return (*CONVERSATION_EVENTS, *(SESSION_EVENTS if stores_sessions else ()))


def key_records(settings: Settings) -> EventRecords | None:
    """Return what makes records of changed keys, None if the event log ends with the process."""
    return None if settings.events.url == MEMORY else EventRecords()


def show_events(observation: Observation, pipeline: EventPipeline) -> None:
    """Register the metrics of the pipeline."""
    recorder, relay = pipeline.recorder, pipeline.relay
    show_queue(observation, "events", lambda: recorder.waiting, lambda: pipeline.dropped)
    observation.sum("tfo_mcp.events.relayed", "{event}", "Events moved into the event log.", lambda: relay.relayed)
    observation.gauge("tfo_mcp.outbox.lag", "s", "Age of the oldest event in the outbox.", lambda: relay.lag_seconds)
    if pipeline.webhooks is not None:
        runner = pipeline.webhooks.runner
        observation.sum("tfo_mcp.jobs.given_up", "{job}", "Jobs moved to the dead letters.", lambda: runner.given_up)


def _report(outage: str | None) -> None:
    if outage is None:
        _log.info("the event log can be reached again")
    else:
        _log.error("the event log cannot be reached; events wait in the outbox", reason=outage)
