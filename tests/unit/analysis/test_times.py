"""The time language: moments in every form, refusals, and how moments and durations are shown."""

import pytest

from tfo_mcp.analysis.times import (
    FirstOf,
    InvalidTime,
    parse_time,
    resolved_window,
    show_duration,
    show_time,
    show_window,
    show_within,
)

SECOND = 1_000_000_000
NOW = 1_764_410_400 * SECOND  # 2025-11-29T10:00:00Z


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("15m ago", NOW - 900 * SECOND),
        ("15 minutes ago", NOW - 900 * SECOND),
        ("2 hours ago", NOW - 7200 * SECOND),
        ("1.5h", NOW - 5400 * SECOND),
        ("now-1h", NOW - 3600 * SECOND),
        ("now - 1d", NOW - 86_400 * SECOND),
        ("2025-11-29T10:00:00Z", NOW),
        ("2025-11-29T12:00+02:00", NOW),
        ("2025-11-29 10:00:00.250Z", NOW + SECOND // 4),
        ("1764410400", NOW),
        ("1764410400.5", NOW + SECOND // 2),
        ("1764410400000", NOW),
        ("1764410400000000000", NOW),
        ("version:1.5.0", FirstOf("1.5.0")),
    ],
)
def test_a_moment_is_understood_in_each_of_its_forms(text: str, moment: object) -> None:
    assert parse_time(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2025-11-29T10:00", r"If it is UTC, write 2025-11-29T10:00Z; if it is local, .* 2025-11-29T10:00\+02:00"),
        ("2025-11-29", "If it is UTC, write 2025-11-29T00:00:00Z"),
        ("yesterday", 'Unknown time "yesterday": write now, 15m ago'),
        ("version:", "Unknown time"),
        ("20251129T100000", "add Z for UTC"),
        ("1901-01-01T00:00:00Z", "out of range"),
        ("9999-01-01T00:00:00Z", "out of range"),
    ],
)
def test_a_time_with_two_readings_or_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidTime, match=message):
        parse_time(text, NOW)


def test_a_window_must_begin_before_it_ends() -> None:
    with pytest.raises(InvalidTime, match=r"`from` \(2025-11-29T10:00:00Z\) is not before `to`"):
        resolved_window(NOW, NOW)
    window = resolved_window(NOW - 60 * SECOND, NOW)
    assert window.seconds == 60
    assert show_window(window) == "2025-11-29T09:59:00Z to 2025-11-29T10:00:00Z"


def test_moments_are_shown_in_utc() -> None:
    assert show_time(NOW) == "2025-11-29T10:00:00Z"
    assert show_time(NOW + 1_500_000) == "2025-11-29T10:00:00.001Z"


def test_a_moment_of_a_short_window_is_shown_without_the_date() -> None:
    day = resolved_window(NOW - 86_400 * SECOND, NOW)
    assert show_within(NOW + 1_500_000, day) == "10:00:00"
    assert show_within(NOW + 1_500_000, day, milliseconds=True) == "10:00:00.001"
    longer = resolved_window(NOW - 86_401 * SECOND, NOW)
    assert show_within(NOW + 1_500_000, longer, milliseconds=True) == "2025-11-29T10:00:00.001"


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0 us"),
        (999, "1 us"),
        (1_240_000, "1.24 ms"),
        (47_100_000, "47.1 ms"),
        (100_000_000, "100 ms"),
        (3_100_000_000, "3.1 s"),
        (7200 * SECOND, "120 min"),
        (-2_000_000, "-2 ms"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(nanoseconds: int, shown: str) -> None:
    assert show_duration(nanoseconds) == shown
