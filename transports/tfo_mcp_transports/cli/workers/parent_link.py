"""ParentLink: the pipes between the workers and their parent.

One carries notices of all workers to the parent, as lines of JSON that are short enough to be written at once. The
other carries nothing: its end tells the workers that the parent has ended.
"""

import json
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tfo_mcp.value_objects import value_object

_MOST_BYTES = min(select.PIPE_BUF, 4096)
_LONGEST_PROBLEM = 300  # characters, each of which takes at most 12 bytes


@value_object
class Notice:
    """What a worker reports: that it serves, or, if `problems` is not None, that it has reloaded its settings.

    `hidden_tools` is the number of tools that callers without a key do not see, when it begins to serve.
    """

    pid: int
    problems: tuple[str, ...] | None = None
    hidden_tools: int = 0


class ParentLink:
    """Made by the parent before it forks; `leave_to_child` makes it the worker's end."""

    def __init__(self) -> None:
        self.notices, self._notices_writer = os.pipe()
        self.parent_ended, self._lifeline = os.pipe()
        """Readable in a worker when the parent has ended."""
        os.set_blocking(self.notices, False)
        self._unread = b""

    def take(self) -> Iterator[Notice]:
        """Yield the notices that have arrived."""
        with suppress(BlockingIOError):
            while arrived := os.read(self.notices, 65536):
                *lines, self._unread = (self._unread + arrived).split(b"\n")
                for line in lines:
                    plain = json.loads(line)
                    problems = plain["problems"]
                    yield Notice(plain["pid"], None if problems is None else tuple(problems), plain["hidden_tools"])

    def leave_to_child(self) -> None:
        """In a forked process, close the parent's ends."""
        os.close(self.notices)
        os.close(self._lifeline)

    def serving(self, hidden_tools: int) -> None:
        """Report that this worker serves, and how many tools callers without a key do not see."""
        self._send(self._line(None, hidden_tools))

    def reloaded(self, problems: Sequence[str]) -> None:
        """Report that this worker has reloaded its settings, and the problems: as many as fit."""
        short = [problem[:_LONGEST_PROBLEM] for problem in problems]
        while len(self._line(short)) > _MOST_BYTES:
            short.pop()
        self._send(self._line(short))

    def _send(self, line: bytes) -> None:
        with suppress(BrokenPipeError):  # the parent has ended
            os.write(self._notices_writer, line)

    @staticmethod
    def _line(problems: Sequence[str] | None, hidden_tools: int = 0) -> bytes:
        return json.dumps({"pid": os.getpid(), "problems": problems, "hidden_tools": hidden_tools}).encode() + b"\n"
