"""Ingest: a bounded queue of export requests, and the thread that stores them.

A request is acknowledged when the transaction with its records has been committed. The thread stores all requests that
wait in one transaction, so that many senders cost few commits. It is the only one that writes: retention runs in it,
too. Must not know transports or databases.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import field
from threading import Condition, Thread
from time import monotonic
from typing import Literal

import structlog

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.application.ports.telemetry_writer import RecordsNotWritten, TelemetryWriter
from tfo_mcp.infrastructure.telemetry_store.attributes import AttributeReader
from tfo_mcp.infrastructure.telemetry_store.otlp_requests import Encoding, UndecodableRequest, add_request
from tfo_mcp.infrastructure.telemetry_store.rows import Rejections, RowBatch
from tfo_mcp.value_objects import value_object

_log = structlog.get_logger("tfo_mcp.telemetry")
_BATCH_BYTES = 8 * 1024 * 1024
_MOST_REQUESTS = 4096
_REST_SECONDS = 5.0
_CLOSING_SECONDS = 10.0
_REPORT_SECONDS = 10.0


@value_object
class IngestOutcome:
    """What became of a request.

    `stored`: its records are stored but for `rejected` of them. `unreadable`: it cannot be decoded. `full`: the queue
    has no room. `failed`: the records could not be written, e.g. because the disk is full. After the last two, the
    sender may send it again. `message` says why something was not stored.
    """

    status: Literal["stored", "unreadable", "full", "failed"]
    rejected: int = 0
    message: str = ""


@value_object
class _Request:
    signal: Signal
    body: bytes
    encoding: Encoding
    outcome: "Future[IngestOutcome]" = field(default_factory=Future)


class Ingest:
    """Stores export requests.

    Args:
        writer: called by the thread of this object only.
        new_batch: returns an empty batch of rows in the form that the writer takes.
        reader: reads attributes.
        max_bytes: maximum bytes of the requests that wait.
        rest: further work of the writing thread, called a few seconds apart.
        on_failure: called once if the database cannot be used any more.
    """

    def __init__(
        self,
        writer: TelemetryWriter,
        new_batch: Callable[[], RowBatch],
        reader: AttributeReader,
        max_bytes: int,
        rest: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._writer, self._new_batch, self._reader = writer, new_batch, reader
        self._max_bytes = max_bytes
        self._rest, self._on_failure = rest, on_failure
        self._waiting: deque[_Request] = deque()
        self._works: deque[Callable[[], None]] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._closing = False
        self.refused = 0
        """Requests that found the queue full."""
        self._reported_at = -_REPORT_SECONDS
        self._thread = Thread(target=self._run, name="telemetry-ingest", daemon=True)
        self._thread.start()

    def submit(self, signal: Signal, body: bytes, encoding: Encoding) -> "Future[IngestOutcome]":
        """Enqueue a request; the future is done when its records are stored, at once if there is no room."""
        request = _Request(signal, body, encoding)
        with self._changed:
            is_full = self._bytes + len(body) > self._max_bytes or len(self._waiting) >= _MOST_REQUESTS
            if self._closing or (is_full and self._waiting):
                self.refused += 1
                request.outcome.set_result(IngestOutcome("full", message="the queue is full: send it again later"))
                return request.outcome
            self._waiting.append(request)
            self._bytes += len(body)
            self._changed.notify()
        return request.outcome

    def call(self, work: Callable[[], None]) -> "Future[None]":
        """Call a function in the writing thread; the future is done after that."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                work()
            except Exception as problem:  # belongs to the caller
                done.set_exception(problem)
            else:
                done.set_result(None)

        with self._changed:
            self._works.append(run)
            self._changed.notify()
        return done

    def close(self) -> None:
        """Store the requests that wait, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        rested = monotonic()
        while True:
            with self._changed:
                if not (self._waiting or self._works or self._closing):
                    self._changed.wait(_REST_SECONDS)
                requests = self._take()
                works = [self._works.popleft() for _ in range(len(self._works))]
                if self._closing and not (requests or works):
                    return
            for work in works:
                work()
            try:
                if requests:
                    self._store(requests)
                if monotonic() - rested >= _REST_SECONDS:
                    rested = monotonic()
                    self._rest()
            except RecordsNotWritten as problem:
                _log.error("the telemetry database reports an error", reason=str(problem), is_final=problem.is_final)
                if problem.is_final:
                    self._on_failure()
                    return

    def _take(self) -> Sequence[_Request]:
        """Take requests for one transaction out of the queue, which must be locked."""
        taken: list[_Request] = []
        size = 0
        while self._waiting and size < _BATCH_BYTES:
            request = self._waiting.popleft()
            taken.append(request)
            size += len(request.body)
        self._bytes -= size
        return taken

    def _store(self, requests: Sequence[_Request]) -> None:
        """Store requests in one transaction; if that fails, each in one of its own."""
        batch = self._new_batch()
        readable: list[tuple[_Request, Rejections]] = []
        for request in requests:
            rejections = self._decoded(request, batch)
            if rejections is not None:
                readable.append((request, rejections))
        try:
            self._writer.insert(batch.lines)
        except RecordsNotWritten as problem:
            if len(readable) > 1 and not problem.is_outage:
                for request, _ in readable:
                    self._store([request])
                return
            self._report(problem)
            for request, _ in readable:
                request.outcome.set_result(IngestOutcome("failed", message="the records cannot be written"))
            if problem.is_final:
                raise
            return
        for request, rejections in readable:
            request.outcome.set_result(IngestOutcome("stored", rejections.count, rejections.message()))

    def _report(self, problem: RecordsNotWritten) -> None:
        """Log why records cannot be written, but not for each of many requests."""
        if monotonic() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = monotonic()
            _log.error("telemetry cannot be stored", reason=str(problem))

    def _decoded(self, request: _Request, batch: RowBatch) -> Rejections | None:
        """Add a request to a batch; one that cannot be read is answered, and None returned."""
        try:
            return add_request(request.signal, request.body, request.encoding, batch, self._reader)
        except UndecodableRequest as problem:
            request.outcome.set_result(IngestOutcome("unreadable", message=str(problem)))
        except Exception as problem:  # a defect must end neither the thread nor the other requests
            _log.exception("a request cannot be read", kind=type(problem).__name__)
            request.outcome.set_result(IngestOutcome("unreadable", message="the request cannot be read"))
        return None
