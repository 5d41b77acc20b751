"""Logging: one line per event, written in the background, and a count of dropped lines."""

import json
import logging
import os
import select
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from threading import enumerate as enumerate_threads
from time import monotonic
from typing import Any, Literal

import pytest
import structlog

from tests.support.deadlines import PATIENCE, QUICK, wait_until
from tfo_mcp.infrastructure.logging import Level, Logging

Format = Literal["json", "console"]
FORMATS: tuple[Format, ...] = ("json", "console")
FORGED = "12:00:00.000 error   forged"
BUFFERED = 10_000
MORE_THAN_A_PIPE_HOLDS = "x" * (2 * 1024 * 1024)


class Pipe:
    """The destination of the log: a pipe that a thread reads after `start_reading`."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self._found = bytearray()
        self._reader = Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        while chunk := os.read(self.read_end, 1024 * 1024):
            self._found += chunk

    def start_reading(self) -> None:
        """Start the thread that reads."""
        self._reader.start()

    def lines(self) -> list[str]:
        """Close the pipe for writing and return all lines."""
        os.close(self.write_end)
        self.write_end = -1
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive()
        return self._found.decode().removesuffix("\n").split("\n") if self._found else []

    def close(self) -> None:
        """Close both ends, after a writer blocked in the pipe has ended."""
        with suppress(OSError):
            os.close(self.read_end)
        wait_until(lambda: "log-writer" not in {thread.name for thread in enumerate_threads()}, "the writer has ended")
        with suppress(OSError):
            os.close(self.write_end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Restore the logging configuration after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@contextmanager
def logging_to(pipe: Pipe, format: Format = "json", level: Level = "info") -> Iterator[Logging]:
    """Log to the pipe until the end of the block."""
    with Logging(level, format, "service", "place", pipe.write_end) as logging:
        yield logging


def logged(pipe: Pipe, format: Format, *work: Callable[[], object]) -> list[str]:
    """Run the work and return the logged lines."""
    pipe.start_reading()
    with logging_to(pipe, format):
        for step in work:
            step()
    return pipe.lines()


def log(event: str, **fields: Any) -> Callable[[], object]:
    """Return a function that logs an event."""
    return lambda: structlog.get_logger("test").info(event, **fields)


class TestLines:
    def test_json_lines_say_when_what_and_from_where(self, pipe: Pipe) -> None:
        (line,) = logged(pipe, "json", log("call", tool="echo", seconds=0.5))
        shown = json.loads(line)
        assert shown.pop("timestamp").endswith("+00:00")
        assert shown == {
            "level": "info",
            "service": "service",
            "environment": "place",
            "event": "call",
            "tool": "echo",
            "seconds": 0.5,
        }

    def test_console_lines_are_for_people(self, pipe: Pipe) -> None:
        (line,) = logged(pipe, "console", log("call", tool="echo"))
        assert line[13:].split() == ["info", "call", "tool=echo"]

    @pytest.mark.parametrize("format", FORMATS)
    def test_levels_below_the_one_that_is_set_are_not_written(self, pipe: Pipe, format: Format) -> None:
        pipe.start_reading()
        with logging_to(pipe, format, "warning"):
            logger = structlog.get_logger("test")
            for level in ("debug", "info", "warning", "error"):
                getattr(logger, level)(f"at-{level}")
                logging.getLogger("library").log(logging.getLevelName(level.upper()), f"library-{level}")
        lines = pipe.lines()
        assert len(lines) == 4
        assert ["at-warning" in lines[0], "library-warning" in lines[1]] == [True, True]

    @pytest.mark.parametrize("format", FORMATS)
    def test_an_exception_is_written_with_its_trace(self, pipe: Pipe, format: Format) -> None:
        def fail() -> None:
            try:
                raise LookupError("nothing here")
            except LookupError:
                structlog.get_logger("test").exception("failed", error_id="e1")

        text = "\n".join(logged(pipe, format, fail))
        assert "error" in text.splitlines()[0]
        assert "LookupError: nothing here" in text
        assert "Traceback" in text

    @pytest.mark.parametrize("format", FORMATS)
    def test_libraries_log_the_same_way(self, pipe: Pipe, format: Format) -> None:
        def by_library() -> None:
            logging.getLogger("library").warning("from %s", "below")
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn("old ways", stacklevel=1)

        lines = logged(pipe, format, by_library)
        assert "from below" in lines[0]
        assert "old ways" in "\n".join(lines[1:])


class TestForging:
    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize(
        "text", [f"a\n{FORGED}", f"a\r{FORGED}", f"a\r\n{FORGED}", f"a\u2028{FORGED}", f"a\x85{FORGED}"]
    )
    def test_a_value_cannot_look_like_another_line(self, pipe: Pipe, format: Format, text: str) -> None:
        lines = logged(pipe, format, log("call", path=text, nested={"path": [text]}))
        assert len(lines) == 1

    @pytest.mark.parametrize("format", FORMATS)
    def test_the_message_of_a_library_cannot_look_like_another_line(self, pipe: Pipe, format: Format) -> None:
        lines = logged(pipe, format, lambda: logging.getLogger("library").warning("path %s", f"a\n{FORGED}"))
        assert not any(line.startswith(FORGED) for line in lines)
        assert len(lines) == 1

    def test_a_value_cannot_steer_a_terminal(self, pipe: Pipe) -> None:
        (line,) = logged(pipe, "console", log("call", path="\x1b[2J\x1b[31mred\x07"))
        assert line.isprintable()


class TestWhatCannotBeShown:
    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize(
        "value",
        ["\ud800", b"\xff", float("nan"), object(), {1: 2}, {"a", "b"}, 10**5000, "\0"],
        ids=lambda value: type(value).__name__,
    )
    def test_it_hinders_neither_the_caller_nor_the_lines_around_it(
        self, pipe: Pipe, format: Format, value: object
    ) -> None:
        lines = logged(pipe, format, log("before"), log("call", value=value), log("after"))
        assert len(lines) == 3
        assert all(word in line for word, line in zip(("before", "call", "after"), lines, strict=True))

    @pytest.mark.parametrize("level", [logging.DEBUG - 5, logging.INFO + 5, logging.CRITICAL, logging.CRITICAL + 5])
    def test_libraries_may_have_levels_of_their_own(self, pipe: Pipe, level: int) -> None:
        lines = logged(
            pipe, "console", lambda: logging.getLogger("library").log(level, "strange level"), log("afterwards")
        )
        assert len(lines) == (1 if level < logging.INFO else 2)
        assert "afterwards" in lines[-1]


class TestWritingBehind:
    def block(self, pipe: Pipe) -> None:
        """Log more than the pipe can hold, and wait until the writer blocks."""
        structlog.get_logger("test").info("big", text=MORE_THAN_A_PIPE_HOLDS)
        assert select.select([pipe.read_end], [], [], PATIENCE)[0]

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_reader_who_is_slow_costs_the_oldest_lines_and_is_told_how_many(self, pipe: Pipe, format: Format) -> None:
        extra = 123
        with logging_to(pipe, format):
            logger = structlog.get_logger("test")
            self.block(pipe)
            for number in range(BUFFERED + extra):
                logger.info("line", number=f"<{number}>")
            pipe.start_reading()
        lines = pipe.lines()
        assert "big" in lines[0]
        kept = [line for line in lines if "<" in line]
        assert len(kept) == BUFFERED
        assert (f"<{extra}>" in kept[0], f"<{BUFFERED + extra - 1}>" in kept[-1]) == (True, True)
        assert [line for line in lines if "dropped" in line] == [f"log lines dropped: {extra}"]

    def test_nobody_waits_for_a_reader_who_never_comes(self, pipe: Pipe) -> None:
        started = monotonic()
        with logging_to(pipe):
            self.block(pipe)
            for number in range(BUFFERED):
                structlog.get_logger("test").info("line", number=number)
        assert monotonic() - started < QUICK

    def test_a_reader_who_has_gone_hinders_nobody(self, pipe: Pipe) -> None:
        os.close(pipe.read_end)
        with logging_to(pipe):
            for number in range(100):
                structlog.get_logger("test").info("line", number=number)

    def test_all_that_was_logged_is_written_at_the_end_in_order(self, pipe: Pipe) -> None:
        lines = logged(pipe, "console", *[log(f"<{number}>") for number in range(5000)])
        assert [f"<{number}>" in line for number, line in enumerate(lines)] == [True] * 5000
