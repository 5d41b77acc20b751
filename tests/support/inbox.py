"""Inbox: the messages that a server has sent and that a test has not taken yet, in the order of their arrival.

The reading threads of a conversation fill it; the test takes messages with a deadline. Knows no transport.
"""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.support.deadlines import Deadline
from tests.support.envelopes import JsonObject

Predicate = Callable[[JsonObject], bool]


class ConversationClosedError(Exception):
    """The server has closed the connection before the expected message arrived."""


class Inbox:
    """Messages that have arrived."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: list[JsonObject] = []
        self._ended: str | None = None

    @property
    def ended(self) -> bool:
        """Whether no more messages can arrive."""
        return self._ended is not None

    def put(self, message: object) -> None:
        """Keep a message, or each one of a batch."""
        messages: list[Any] = message if isinstance(message, list) else [message]
        assert all(isinstance(item, dict) for item in messages), f"Not a message: {message!r}"
        with self._changed:
            self._messages.extend(messages)
            self._changed.notify_all()

    def fill(self, frames: Iterable[bytes | str]) -> None:
        """Keep the message of each frame; a frame that is not a message ends the inbox."""
        for frame in frames:
            try:
                self.put(json.loads(frame))
            except (ValueError, AssertionError) as problem:
                self.end(f"A frame is not a message ({problem}): {frame!r}")

    def end(self, reason: str) -> None:
        """Record that no more messages can arrive, and why."""
        with self._changed:
            self._ended = self._ended or reason
            self._changed.notify_all()

    def take(self, fits: Predicate, what: str, seconds: float) -> JsonObject:
        """Remove and return the first message that fits.

        Raises:
            TimeoutError: no such message arrived in time.
            ConversationClosedError: the conversation ended before.
        """
        deadline = Deadline(seconds, what)
        checked = 0
        with self._changed:
            while True:
                for index in range(checked, len(self._messages)):
                    if fits(self._messages[index]):
                        return self._messages.pop(index)
                checked = len(self._messages)
                if self._ended is not None:
                    raise ConversationClosedError(f"{self._ended} before {what}; here are {self._messages}")
                try:
                    self._changed.wait(deadline.left())
                except TimeoutError as problem:
                    raise TimeoutError(f"{problem}; here are {self._messages}") from None

    def waiting(self) -> Sequence[JsonObject]:
        """Return the messages that the test has not taken, without waiting."""
        with self._changed:
            return tuple(self._messages)

    def forget(self) -> None:
        """Drop the messages that the test has not taken."""
        with self._changed:
            self._messages.clear()

    def await_end(self, seconds: float) -> Sequence[JsonObject]:
        """Wait for the end of the conversation and return the messages that the test has not taken.

        Raises:
            TimeoutError: the conversation has not ended within `seconds`.
        """
        deadline = Deadline(seconds, "the end of the conversation")
        with self._changed:
            while self._ended is None:
                self._changed.wait(deadline.left())
            return tuple(self._messages)
