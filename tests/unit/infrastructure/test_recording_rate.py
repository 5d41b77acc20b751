"""The rate at which calls are recorded for the telemetry store."""

import pytest

from tfo_mcp.infrastructure.telemetry.spans import RecordingRate


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(rate: RecordingRate, wanted: int) -> int:
    return sum(rate.take() for _ in range(wanted))


def test_a_burst_is_recorded_whole_and_what_follows_at_once_is_not(clock: Clock) -> None:
    rate = RecordingRate(per_second=100, burst=1000, clock=clock)
    assert taken(rate, 5000) == pytest.approx(1000, abs=1)


def test_after_the_burst_the_rate_is_recorded(clock: Clock) -> None:
    rate = RecordingRate(per_second=100, burst=1000, clock=clock)
    taken(rate, 5000)
    clock.now += 2
    assert taken(rate, 5000) == pytest.approx(200, abs=1)


def test_after_a_quiet_time_a_burst_is_recorded_again_and_no_more(clock: Clock) -> None:
    rate = RecordingRate(per_second=100, burst=1000, clock=clock)
    taken(rate, 5000)
    clock.now += 3600
    assert taken(rate, 5000) == pytest.approx(1000, abs=1)
