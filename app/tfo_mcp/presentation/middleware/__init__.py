"""Middleware: one concern per module, each a callable that takes the call and the next layer.

The order is one tuple in `tfo_mcp.presentation.dispatcher`.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from tfo_mcp.presentation.protocol.call import Call

Next = Callable[[Call], Awaitable[bytes]]
"""Serves a call and returns its result as JSON."""


class Middleware(Protocol):
    """A layer around the next one."""

    def __call__(self, call: Call, call_next: Next) -> Awaitable[bytes]:
        """Serve the call, usually by calling `call_next`, and return the result as JSON."""
