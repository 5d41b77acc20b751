"""Waiting for a condition with a deadline; tests sleep nowhere else.

A test names the condition and the maximum time; it never waits for a fixed time.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import anyio

PATIENCE = 30.0  # seconds; far more than any step needs, so that tests pass on a loaded machine
QUICK = 10.0  # seconds; less than a wait takes that must not happen
LOOK_AGAIN = 0.01  # seconds between two checks of a polled condition

T = TypeVar("T")


class Deadline:
    """The time until which a test waits for `what`."""

    def __init__(self, seconds: float, what: str) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._what = what

    def left(self) -> float:
        """Return the remaining seconds.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self._what}: not within {self._seconds:g} s")
        return left


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Poll `condition` and return its first true value.

    Raises:
        TimeoutError: the condition is still false after `seconds`.
    """
    deadline = Deadline(seconds, what)
    while not (value := condition()):
        time.sleep(min(LOOK_AGAIN, deadline.left()))
    return value


async def eventually(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Do the same as `wait_until` without blocking the event loop.

    Raises:
        TimeoutError: the condition is still false after `seconds`.
    """
    deadline = Deadline(seconds, what)
    while not (value := condition()):
        await anyio.sleep(min(LOOK_AGAIN, deadline.left()))
    return value
