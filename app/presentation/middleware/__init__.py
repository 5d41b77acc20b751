"""Middleware: one concern per file, each a function of the call and of what follows.

The order is one tuple in `app.presentation.dispatcher`.
"""

from collections.abc import Awaitable, Callable

from app.presentation.protocol.call import Call

Following = Callable[[Call], Awaitable[bytes]]
"""Serves a call and returns its result as JSON."""

Middleware = Callable[[Call, Following], Awaitable[bytes]]
"""Does its part around `Following`."""
