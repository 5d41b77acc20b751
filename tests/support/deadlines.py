"""Waiting for a condition inside a deadline: the only place where a test pauses.

A test names what it waits for and how long that may take at most; it never waits for a fixed time.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import anyio

PATIENCE = 10.0  # seconds; far more than anything here needs, so that a loaded machine fails no test
LOOK_AGAIN = 0.01  # seconds between two looks at a condition that cannot be waited on

T = TypeVar("T")


class Deadline:
    """A moment after which waiting for `what` is an error."""

    def __init__(self, seconds: float, what: str) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._what = what

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self._what}: not within {self._seconds:g} s")
        return left


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Return the first true value of `condition`, looked at again and again.

    Raises:
        TimeoutError: it stayed false for so many seconds.
    """
    deadline = Deadline(seconds, what)
    while not (value := condition()):
        time.sleep(min(LOOK_AGAIN, deadline.left()))
    return value


async def eventually(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Do as `wait_until`, while the event loop goes on.

    Raises:
        TimeoutError: it stayed false for so many seconds.
    """
    deadline = Deadline(seconds, what)
    while not (value := condition()):
        await anyio.sleep(min(LOOK_AGAIN, deadline.left()))
    return value
