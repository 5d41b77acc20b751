"""NatsWorkQueue: the work queue in two streams of NATS JetStream, one of jobs and one of dead letters.

A durable consumer, which all replicas share, gives each job to one of them and counts the attempts. A job is removed
from the stream when it is acknowledged. A job that is given up is published among the dead letters before: a process
that is killed in between publishes it again, and JetStream drops it by its id.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, Header
from nats.js.errors import NotFoundError

from tfo_mcp.application.ports import Attempt, DeadLetter, EventLogUnavailable, Job, WorkQueueUnavailable
from tfo_mcp.infrastructure.nats.connection import JetStream

ResultT = TypeVar("ResultT")
WORK = "tfo.mcp.work"
DEAD = "tfo.mcp.dead"
_CONSUMER = "workers"
_JOB = "Tfo-Job"
_LETTER = "Tfo-Letter"
_WAIT_SECONDS = 1.0
_FORGET_SECONDS = 30.0
_BATCH = 200


class NatsWorkQueue:
    """Jobs on `tfo.mcp.work.<kind>`, dead letters on `tfo.mcp.dead.<kind>`.

    Args:
        connection: returns a new connection; one waits for jobs, another one does all else.
        work: name of the stream of jobs.
        dead: name of the stream of dead letters.
        visibility_seconds: time after which a job that was taken is taken again.
    """

    def __init__(self, connection: Callable[[], JetStream], work: str, dead: str, visibility_seconds: float) -> None:
        self._sender = connection()
        self._receiver = connection()
        self._work = work
        self._dead = dead
        self._visibility_seconds = visibility_seconds
        self._bound: tuple[JetStreamContext, JetStreamContext.PullSubscription] | None = None

    async def put(self, jobs: Sequence[Job]) -> None:
        """Publish jobs with their ids, and wait until the stream has them all."""

        async def publish(context: JetStreamContext) -> None:
            acknowledged = [
                await context.publish_async(
                    f"{WORK}.{job.kind}", job.payload, headers={Header.MSG_ID: job.id, _JOB: job.id}
                )
                for job in jobs
            ]
            await asyncio.gather(*acknowledged)

        await _available(self._sender, publish)

    async def take(self, limit: int) -> Sequence[Attempt]:
        """Fetch up to `limit` jobs."""

        async def fetch(context: JetStreamContext) -> list[Msg]:
            consumer = await self._consumer(context)
            began = monotonic()
            messages: list[Msg] = []
            with suppress(NatsTimeoutError, TimeoutError):
                messages = await consumer.fetch(limit, timeout=_WAIT_SECONDS)
            if not messages and monotonic() < began + _WAIT_SECONDS / 2:  # the client hides that the consumer is lost
                await context.consumer_info(self._work, _CONSUMER)
            return messages

        return [_attempt(message) for message in await _available(self._receiver, fetch)]

    async def finish(self, attempt: Attempt) -> None:
        """Acknowledge a job; it is done again if the acknowledgement is lost."""
        await _acknowledge(_message(attempt).ack())

    async def postpone(self, attempt: Attempt, seconds: float) -> None:
        """Refuse a job for some seconds."""
        await _acknowledge(_message(attempt).nak(delay=seconds))

    async def give_up(self, attempt: Attempt, reason: str) -> None:
        """Publish a dead letter, and acknowledge the job."""
        job, number = attempt.job, _message(attempt).metadata.sequence.stream
        letter = json.dumps({"reason": reason, "tries": attempt.number})
        headers = {Header.MSG_ID: f"{job.id}@{number}", _JOB: job.id, _LETTER: letter}
        await _available(
            self._sender, lambda context: context.publish(f"{DEAD}.{job.kind}", job.payload, headers=headers)
        )
        await self.finish(attempt)

    async def dead(self) -> Sequence[DeadLetter]:
        """Read the stream of dead letters."""
        count, consumer = await _available(self._sender, self._dead_letters)
        found: list[DeadLetter] = []
        while len(found) < count:
            try:
                messages = await consumer.fetch(min(_BATCH, count - len(found)), timeout=_WAIT_SECONDS)
            except (NatsError, TimeoutError):
                break  # letters were removed meanwhile
            if not messages:
                break
            found += map(_dead_letter, messages)
        return found

    async def retry(self, letter: DeadLetter) -> None:
        """Publish the job again with an id of its own, and delete the letter."""
        job, number = letter.job, int(letter.id)

        async def publish(context: JetStreamContext) -> None:
            try:
                await context.get_msg(self._dead, number)
            except NotFoundError:
                return  # it was retried by another operator
            headers = {Header.MSG_ID: f"{job.id}@dead-{number}", _JOB: job.id}
            await context.publish(f"{WORK}.{job.kind}", job.payload, headers=headers)
            await context.delete_msg(self._dead, number)

        await _available(self._sender, publish)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._receiver.aclose()
        await self._sender.aclose()

    async def _consumer(self, context: JetStreamContext) -> JetStreamContext.PullSubscription:
        """Return the consumer that the replicas share, created when a connection first needs it."""
        if self._bound is None or self._bound[0] is not context:
            config = ConsumerConfig(
                durable_name=_CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=self._visibility_seconds, max_deliver=-1
            )
            await context.add_consumer(self._work, config)
            self._bound = (context, await context.pull_subscribe_bind(_CONSUMER, self._work))
        return self._bound[1]

    async def _dead_letters(self, context: JetStreamContext) -> tuple[int, JetStreamContext.PullSubscription]:
        count = (await context.stream_info(self._dead)).state.messages
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=_FORGET_SECONDS)
        return count, await context.pull_subscribe(f"{DEAD}.>", stream=self._dead, config=config)


async def _available(stream: JetStream, action: Callable[[JetStreamContext], Awaitable[ResultT]]) -> ResultT:
    try:
        return await stream.call(action)
    except EventLogUnavailable as problem:
        raise WorkQueueUnavailable(str(problem)) from None


async def _acknowledge(sending: Awaitable[None]) -> None:
    try:
        await sending
    except (NatsError, OSError) as problem:
        raise WorkQueueUnavailable(type(problem).__name__) from None


def _attempt(message: Msg) -> Attempt:
    return Attempt(_job(message), message.metadata.num_delivered, message)


def _job(message: Msg) -> Job:
    identity = (message.headers or {}).get(_JOB) or f"{message.metadata.stream}-{message.metadata.sequence.stream}"
    return Job(identity, message.subject.rpartition(".")[2], message.data)


def _dead_letter(message: Msg) -> DeadLetter:
    try:
        letter = json.loads((message.headers or {})[_LETTER])
        reason, tries = str(letter["reason"]), int(letter["tries"])
    except (KeyError, TypeError, ValueError):  # another program's message
        reason, tries = "unknown", 0
    metadata = message.metadata
    return DeadLetter(str(metadata.sequence.stream), _job(message), reason, tries, metadata.timestamp.timestamp())


def _message(attempt: Attempt) -> Msg:
    assert isinstance(attempt.receipt, Msg)
    return attempt.receipt
