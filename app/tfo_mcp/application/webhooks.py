"""Webhooks: which events are delivered to which URL. Knows no HTTP client and no broker.

`WebhookLog` adds a job for each delivery after the event log has the event. Job and event leave the outbox together, so
that no delivery is lost; one that is added twice is dropped by its id.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b

from tfo_mcp.application.cloud_events import encode
from tfo_mcp.application.ports import EventLog, EventLogUnavailable, Job, RecordedEvent, WorkQueue, WorkQueueUnavailable
from tfo_mcp.value_objects import value_object

DELIVERY = "webhook"
"""The kind of jobs that deliver an event."""


@value_object
class WebhookTarget:
    """A URL that events are posted to, the types and subjects of these events as patterns, and the signing key.

    The key is None if deliveries are not signed.
    """

    url: str
    types: Sequence[str] = ("*",)
    subjects: Sequence[str] = ("*",)
    key: bytes | None = None

    @property
    def id(self) -> str:
        """Name of the webhook in jobs: a URL may contain a secret."""
        return blake2b(self.url.encode(), digest_size=8).hexdigest()

    def wants(self, event: RecordedEvent) -> bool:
        """Return whether an event is delivered to this URL."""
        return any(fnmatchcase(event.type, pattern) for pattern in self.types) and any(
            fnmatchcase(event.subject, pattern) for pattern in self.subjects
        )


def delivery(event: RecordedEvent, target: WebhookTarget) -> Job:
    """Return the job that delivers an event."""
    return Job(f"{event.id}-{target.id}", DELIVERY, target.id.encode() + b"\n" + encode(event))


def delivered(job: Job) -> tuple[str, bytes]:
    """Return the id of a delivery's webhook, and the CloudEvent to post."""
    target, _, event = job.payload.partition(b"\n")
    return target.decode(errors="replace"), event


class WebhookLog:
    """An event log that also queues the deliveries of webhooks."""

    def __init__(self, log: EventLog, queue: WorkQueue, targets: Sequence[WebhookTarget]) -> None:
        self._log = log
        self._queue = queue
        self._targets = targets
        self._is_working = True

    async def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append events, and queue their deliveries."""
        await self._log.append(events)
        jobs = [delivery(event, target) for event in events for target in self._targets if target.wants(event)]
        try:
            if jobs:
                await self._queue.put(jobs)
        except WorkQueueUnavailable as problem:
            self._is_working = False
            raise EventLogUnavailable(f"deliveries of webhooks cannot be queued: {problem}") from None
        self._is_working = True

    def works(self) -> bool:
        """Return whether the last attempt to append succeeded."""
        return self._is_working and self._log.works()

    async def aclose(self) -> None:
        """Close the event log; the queue is closed by its runner."""
        await self._log.aclose()
