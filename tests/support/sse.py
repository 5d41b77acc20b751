"""A parser of server-sent events that keeps every detail: ids, empty data, retry and comments.

Turns lines into events; knows neither HTTP nor JSON-RPC. Source: WHATWG HTML, section 9.2.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event or one comment; a missing field is None, so that empty data differs from missing data."""

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None
    comment: str | None = None


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a body, across the boundaries of chunks; only LF and CRLF end a line."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8")


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events in `lines`, given without line ends; an unfinished event at the end is dropped."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if fields:
                yield _event(fields)
            fields = {}
        elif line.startswith(":"):
            yield Event(comment=line[1:].removeprefix(" "))
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value


def _event(fields: dict[str, str]) -> Event:
    retry = fields.get("retry")
    return Event(fields.get("id"), fields.get("event"), fields.get("data"), None if retry is None else int(retry))
