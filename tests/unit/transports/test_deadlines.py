"""Deadlines: a restarted one does not delay the others."""

import time

import pytest

from tests.support.deadlines import wait_until
from tfo_mcp_transports.network.deadlines import Deadlines

SECONDS = 0.2


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines(SECONDS)


def test_a_deadline_that_is_restarted_does_not_delay_an_older_one(deadlines: Deadlines) -> None:
    called: list[str] = []
    restarted, steady = (lambda: called.append("restarted")), (lambda: called.append("steady"))
    deadlines.start(restarted)
    deadlines.start(steady)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > SECONDS / 2, "half of the time has passed")
    deadlines.start(restarted)
    wait_until(lambda: time.monotonic() - began > SECONDS, "the time of the first ones has passed")
    deadlines.look()
    assert called == ["steady"]


def test_a_deadline_that_was_stopped_is_not_called(deadlines: Deadlines) -> None:
    called: list[str] = []

    def act() -> None:
        called.append("stopped")

    deadlines.start(act)
    deadlines.stop(act)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > SECONDS, "the time has passed")
    deadlines.look()
    assert called == []
