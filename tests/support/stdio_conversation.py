"""A conversation over the pipes of a child process: one frame a line.

A thread reads stdout all the time, so that a full pipe never blocks the server. A line that is no JSON ends the
conversation: nothing but messages may be there.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support.conversations import Conversation
from tests.support.processes import Child, Configuration, stdio_child


class StdioConversation(Conversation):
    """The client of one process, which serves nobody else."""

    transport = "stdio"
    ordered = True

    def __init__(self, child: Child, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        super().__init__(revision, capabilities)
        self.child = child
        self._reader = threading.Thread(target=self._read, name="stdout-reader", daemon=True)
        self._reader.start()

    def send_frame(self, frame: bytes, message: object = None) -> None:
        """Write one line."""
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(frame + b"\n")
        self.child.process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        self.child.stop()
        self._reader.join()

    def _read(self) -> None:
        assert self.child.process.stdout is not None
        with self.child.process.stdout as stdout:
            for line in stdout:
                try:
                    self._inbox.put(json.loads(line))
                except (ValueError, AssertionError) as problem:
                    self._inbox.end(f"Stdout carries what is no message ({problem}): {line!r}")
        self._inbox.end(f"Stdout ended; stderr:\n{self.child.stderr()[-2000:]}")


class StdioService:
    """Starts a process for each conversation."""

    transport = "stdio"

    def __init__(self, configuration: Configuration, variables: Mapping[str, str]) -> None:
        self._configuration = configuration
        self._variables = variables

    @contextmanager
    def connect(self, revision: str, capabilities: Mapping[str, Any] | None = None) -> Iterator[StdioConversation]:
        """Yield a conversation in which nothing was said yet."""
        with stdio_child(self._configuration, variables=self._variables) as child:
            conversation = StdioConversation(child, revision, capabilities)
            try:
                yield conversation
            finally:
                conversation.close()


@contextmanager
def stdio_service(configuration: Configuration, variables: Mapping[str, str]) -> Iterator[StdioService]:
    """Yield what opens conversations over stdio with processes of this configuration."""
    yield StdioService(configuration, variables)
