"""The time language of the telemetry tools: parses moments, and shows moments and durations.

    now | now-1h | 15m ago | 90s | 2026-11-29T10:00:00Z | 2026-11-29T10:00+02:00 | 1764410400 | version:1.5.0

A moment without an offset is refused, since it has two readings. `version:` names the first record of a version, which
only the store knows. Times are nanoseconds since 1970. Reads no clock: the caller passes the time.
"""

import re
from datetime import UTC, datetime, timedelta

from tfo_mcp.application.ports.telemetry_query import Window
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.text import json_of
from tfo_mcp.value_objects import value_object

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WORDS = {"sec": "s", "min": "m", "hour": "h", "day": "d", "week": "w"}
_UNIT = r"(?P<unit>s|m|h|d|w|sec|min|hour|day|week)(?:ond|ute)?s?"
_AGO = re.compile(rf"(?:now\s*-\s*)?(?P<amount>\d{{1,9}}(?:\.\d+)?)\s*{_UNIT}(?:\s+ago)?", re.IGNORECASE)
_LENGTH = re.compile(rf"(?P<amount>\d{{1,9}}(?:\.\d+)?)\s*{_UNIT}", re.IGNORECASE)
_EPOCH = re.compile(r"\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19}")
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?")
_VERSION = "version:"
_NANOSECONDS = 1_000_000_000
_LATEST = 9_000_000_000 * _NANOSECONDS  # the year 2255; later times do not fit into signed 64 bits
_FORMS = "now, 15m ago, now-1h, 2026-11-29T10:00:00Z (RFC 3339 with an offset), or version:1.5.0"


class InvalidTime(OperationFailed):
    """A time that is not in the language; the message says what to write."""


@value_object
class FirstOf:
    """The time of the first record of a version."""

    version: str


def parse_time(text: str, now: int) -> int | FirstOf:
    """Return the moment that a text names.

    Raises:
        InvalidTime: the text is not in the language, or has no offset.
    """
    text = text.strip()
    if text.lower() == "now":
        return now
    if found := _AGO.fullmatch(text):
        return max(0, now - _nanoseconds(found))
    if text.startswith(_VERSION) and text != _VERSION:
        return FirstOf(text.removeprefix(_VERSION))
    if _EPOCH.fullmatch(text):
        return _epoch(text)
    return _absolute(text)


def parse_length(text: str) -> int:
    """Return a length of time, such as `30s`, `5m` or `1 hour`, in nanoseconds.

    Raises:
        InvalidTime: the text is none, or zero.
    """
    found = _LENGTH.fullmatch(text.strip())
    if found is None or float(found["amount"]) == 0:
        raise InvalidTime(f"Unknown length of time {json_of(text)}: write a number and a unit, such as 30s, 5m or 1h")
    return _nanoseconds(found)


def resolved_window(start: int, end: int) -> Window:
    """Return the window between two moments.

    Raises:
        InvalidTime: it does not begin before its end.
    """
    if start >= end:
        raise InvalidTime(f"`from` ({show_time(start)}) is not before `to` ({show_time(end)})")
    return Window(start, end)


def show_time(moment: int) -> str:
    """Return a moment in UTC, to the millisecond if it has a fraction of a second."""
    seconds, rest = divmod(moment, _NANOSECONDS)
    shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{shown}.{rest // 1_000_000:03d}Z" if rest >= 1_000_000 else f"{shown}Z"


def show_within(moment: int, window: Window, *, milliseconds: bool = False) -> str:
    """Return a moment of a window in UTC: the time of day, with the date if the window is longer than a day."""
    whole = show_time(moment - moment % _NANOSECONDS)[:-1]
    shown = whole if window.seconds > _UNITS["d"] else whole[11:]
    return f"{shown}.{moment % _NANOSECONDS // 1_000_000:03d}" if milliseconds else shown


def show_window(window: Window) -> str:
    """Return a window in UTC, such as `2026-11-29T10:00:00Z to 2026-11-29T10:15:00Z`."""
    return f"{show_time(window.start)} to {show_time(window.end)}"


def show_duration(nanoseconds: float) -> str:
    """Return a duration in three digits with its unit, such as `1.24 ms`."""
    sign, size = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, length, limit in (("us", 1e3, 1e6), ("ms", 1e6, 1e9), ("s", 1e9, 600e9), ("min", 60e9, float("inf"))):
        if size < limit:
            amount = size / length
            digits = 0 if amount >= 100 else 1 if amount >= 10 else 2
            number = f"{amount:.{digits}f}"
            return f"{sign}{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"
    raise AssertionError("unreachable: the last limit is infinite")


def _nanoseconds(found: re.Match[str]) -> int:
    unit = found["unit"].lower()
    return int(float(found["amount"]) * _UNITS[_WORDS.get(unit, unit)] * _NANOSECONDS)


def _epoch(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole.ljust(19, "0")) + int(fraction.ljust(9, "0"))


def _absolute(text: str) -> int:
    if _NAIVE.fullmatch(text):
        raise InvalidTime(
            f"The time {json_of(text)} has no offset. If it is UTC, write {_with_offset(text, 'Z')}; if it is local, "
            f"write its offset, as in {_with_offset(text, '+02:00')}"
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidTime(f"Unknown time {json_of(text)}: write {_FORMS}") from None
    if moment.tzinfo is None:
        raise InvalidTime(f"The time {json_of(text)} has no offset: add Z for UTC, or an offset such as +02:00")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    nanoseconds = (since.days * 86_400 + since.seconds) * _NANOSECONDS + since.microseconds * 1000
    if not 0 <= nanoseconds <= _LATEST:
        raise InvalidTime(f"The time {json_of(text)} is out of range")
    return nanoseconds


def _with_offset(text: str, offset: str) -> str:
    moment = text.replace(" ", "T")
    return f"{moment}{'' if 'T' in moment else 'T00:00:00'}{offset}"
