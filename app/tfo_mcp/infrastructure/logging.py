"""Logging: structlog to stderr, rendered and written by a background thread.

stdout carries the protocol and is never written to. A thread renders and writes the records in batches, so that calls
wait for neither. When its buffer is full, the oldest records are dropped and counted. Loggers of the standard library
(uvicorn, SDKs) use the same path.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread
from time import time
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict

from tfo_mcp.domain.text import escaped

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: Mapping[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_BUFFERED_RECORDS = 10_000
_GATHER_SECONDS = 0.05
_CARRIERS = (
    "alembic",
    "anthropic",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "urllib3",
    "websockets",
    "opentelemetry",
)
"""Libraries that log their set-up, or URLs with credentials, headers or bodies, at levels below warning."""
_DEFERRED = "deferred"
"""Field with a function that returns the fields of the record, for records that are made often."""
_OUTSIDE_FIELDS = frozenset({"event", "exception"})


Record = tuple[float, str, EventDict]
"""Time (seconds since the epoch), level and fields of a record that is not rendered yet."""


class LogSink(Protocol):
    """A further receiver of log records, in addition to stderr."""

    def take(self, seconds: float, level: str, fields: Mapping[str, Any], /) -> None:
        """Receive a record: time (seconds since the epoch), level and fields; `event` is its message."""

    def close(self) -> None:
        """Flush the received records; no more follow."""


class WriteBehind:
    """A bounded buffer of records and the thread that renders and writes them to a file descriptor."""

    def __init__(self, descriptor: int, render: Callable[[Record], bytes]) -> None:
        self._descriptor = descriptor
        self._render = render
        self._records: deque[Record] = deque(maxlen=_BUFFERED_RECORDS)
        self._untold = 0
        self.dropped = 0
        """The number of dropped records since the start."""
        self._wake = Event()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """Enqueue one record; if the buffer is full, the oldest is dropped."""
        if len(self._records) == _BUFFERED_RECORDS:
            self.dropped += 1
            self._untold += 1
        self._records.append(record)
        if not self._wake.is_set():
            self._wake.set()

    @property
    def waiting(self) -> int:
        """How many records wait to be written."""
        return len(self._records)

    def close(self) -> None:
        """Write the remaining records, for at most a second."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_GATHER_SECONDS)
            self._wake.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = []
        while self._records:
            lines.append(self._line(self._records.popleft()))
        if self._untold:
            lines.append(b"log lines dropped: %d\n" % self._untold)
            self._untold = 0
        try:
            waiting = memoryview(b"".join(lines))
            while waiting:
                waiting = waiting[os.write(self._descriptor, waiting) :]
        except OSError:
            return  # stderr is closed, so there is nowhere to report this

    def _line(self, record: Record) -> bytes:
        try:
            return self._render(record)
        except Exception as problem:  # one bad record must not lose the others
            name = repr(record[2].get("event"))[:200]
            return f"{name}: this log record cannot be rendered: {type(problem).__name__}\n".encode()


class WriteThrough:
    """Renders and writes each record at once, in the thread that logs it, for a process that must not have others."""

    waiting = 0
    dropped = 0

    def __init__(self, descriptor: int, render: Callable[[Record], bytes]) -> None:
        self._descriptor = descriptor
        self._render = render

    def write(self, record: Record) -> None:
        """Write one record."""
        with suppress(OSError):  # stderr is closed, so there is nowhere to report this
            os.write(self._descriptor, self._render(record))

    def close(self) -> None:
        """Do nothing: nothing waits."""


class Logging:
    """Configures logging while its context is entered.

    Args:
        level: minimum level that is written.
        format: rendering of lines.
        service: field `service` of JSON lines.
        environment: field `environment` of JSON lines.
        descriptor: file descriptor that lines are written to.
        has_thread: whether a thread writes the lines.
    """

    def __init__(
        self,
        level: Level,
        format: Literal["json", "console"],
        service: str,
        environment: str,
        descriptor: int = 2,
        *,
        has_thread: bool = True,
    ) -> None:
        self._level = level
        self._new_sink: Callable[..., WriteBehind | WriteThrough] = WriteBehind if has_thread else WriteThrough
        self._loggers = type("_LeveledLogger", (_Logger,), {})
        self._json = format == "json"
        self._origin = {"service": service, "environment": environment}
        self._descriptor = descriptor
        self._also: LogSink | None = None
        self._sink: WriteBehind | WriteThrough | None = None
        self._second, self._second_shown = -1, ""

    def __enter__(self) -> Self:
        self._sink = sink = self._new_sink(self._descriptor, self._render)
        structlog.configure(
            processors=[],
            wrapper_class=self._loggers,
            logger_factory=lambda *_: sink.write,
            cache_logger_on_first_use=False,
        )
        logging.captureWarnings(True)
        self.set_level(self._level)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is not None:
            self._sink.close()
        if self._also is not None:
            self._also.close()

    @property
    def waiting(self) -> int:
        """How many records wait to be written."""
        return 0 if self._sink is None else self._sink.waiting

    @property
    def dropped(self) -> int:
        """The number of records that were dropped."""
        return 0 if self._sink is None else self._sink.dropped

    def export_to(self, sink: LogSink) -> None:
        """Also pass each further record to a sink, in the writer thread."""
        self._also = sink

    def set_level(self, level: Level) -> None:
        """Set the minimum level that is written."""
        least = _LEVELS[level]
        _quieten(self._loggers, least)
        logging.basicConfig(handlers=[_Bridge()], level=least, force=True)
        for name in _CARRIERS:
            logging.getLogger(name).setLevel(max(least, logging.WARNING))

    def _render(self, record: Record) -> bytes:
        seconds, level, event = record
        if (fields_of := event.get(_DEFERRED)) is not None:
            event = {**fields_of(), "event": event["event"]}
        if self._also is not None:
            self._also.take(seconds, level, event)
        whole = int(seconds)
        if whole != self._second:
            self._second, self._second_shown = whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        moment = f"{self._second_shown}.{int((seconds - whole) * 1000):03d}+00:00"
        if self._json:
            line = {"timestamp": moment, "level": level, **self._origin, **event}
            return _escaped_json(_json_line(line)) + b"\n"
        return _console_line(moment[11:23], level, event)


class _Logger(structlog.BoundLoggerBase):
    """A structlog logger that passes unrendered records to a function, which does all processing."""

    def _record(self, level: str, event: str, fields: EventDict) -> None:
        fields["event"] = event
        if "exc_info" in fields:
            fields = structlog.processors.format_exc_info(None, level, fields)
        self._logger((time(), level, {**self._context, **fields} if self._context else fields))

    def debug(self, event: str, **fields: object) -> None:
        self._record("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._record("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._record("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._record("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        self._record("error", event, {"exc_info": True, **fields})


def _quieten(loggers: type[_Logger], least: int) -> None:
    """Make the methods below a level no-ops, including those of existing loggers."""

    def nothing(_self: _Logger, _event: str, **_fields: object) -> None:
        return None

    for name, level in _LEVELS.items():
        if level < least:
            setattr(loggers, name, nothing)
        elif name in vars(loggers):
            delattr(loggers, name)


class _Bridge(logging.Handler):
    """Passes records of the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        level = max((least, name) for name, least in _LEVELS.items() if least <= max(record.levelno, logging.DEBUG))[1]
        fields: dict[str, object] = {"logger": record.name.removesuffix(".error")}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        getattr(structlog.get_logger(), level)(record.getMessage(), **fields)


def _json_line(line: EventDict) -> bytes:
    try:
        return to_json(line, serialize_unknown=True, inf_nan_mode="null")
    except ValueError:  # text that is not valid Unicode, as in file names
        return to_json({key: value if isinstance(value, int | float) else repr(value) for key, value in line.items()})


def _escaped_json(line: bytes) -> bytes:
    """Return the same JSON with control characters escaped: the encoder leaves DEL and those beyond ASCII unescaped."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return escaped(line.decode()).encode()


def _console_line(moment: str, level: str, event: EventDict) -> bytes:
    """Return the line of a record for people, without service and environment."""
    name, trace = str(event["event"]), event.get("exception")
    fields = " ".join([f"{key}={value}" for key, value in event.items() if key not in _OUTSIDE_FIELDS])
    if not fields.isprintable():  # a value must not look like another line
        fields = " ".join([f"{key}={value!r}" for key, value in event.items() if key not in _OUTSIDE_FIELDS])
    line = f"{moment} {level:<7} {name if name.isprintable() else repr(name)} {fields}"
    if trace is not None:  # the text of an exception may come from a client
        line = "\n".join([line, *map(escaped, str(trace).split("\n"))])
    return f"{line}\n".encode("utf-8", "backslashreplace")
