"""A conversation over the pipes of a child process.

A thread reads stdout continuously, so that a full pipe never blocks the server. A line that is not JSON ends the
conversation, because stdout must carry only messages.
"""

import threading
from collections.abc import Mapping
from typing import Any

from tests.support.line_conversation import LineConversation
from tests.support.processes import Child


class StdioConversation(LineConversation):
    """The only client of one server process."""

    transport = "stdio"

    def __init__(self, child: Child, revision: str, capabilities: Mapping[str, Any] | None = None) -> None:
        super().__init__(child, revision, capabilities)
        self._reader = threading.Thread(target=self._read, name="stdout-reader", daemon=True)
        self._reader.start()

    def write(self, raw: bytes) -> None:
        """Write to the server's stdin."""
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(raw)
        self.child.process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        self.child.stop()
        self._reader.join()

    def _read(self) -> None:
        assert self.child.process.stdout is not None
        with self.child.process.stdout as stdout:
            self._inbox.fill(stdout)
        self._inbox.end(f"Stdout ended; stderr:\n{self.child.stderr()[-2000:]}")
