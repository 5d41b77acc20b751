"""Middleware: one concern per file, each a function of the call and of what follows.

The order is one tuple in `tfo_mcp.presentation.dispatcher`.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from tfo_mcp.presentation.protocol.call import Call

Next = Callable[[Call], Awaitable[bytes]]
"""Serves a call and returns its result as JSON."""


class Middleware(Protocol):
    """Does its part around what follows."""

    def __call__(self, call: Call, call_next: Next) -> Awaitable[bytes]:
        """Serve the call."""
