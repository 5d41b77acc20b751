"""StoredEvents: answers a call after its events are stored, for `events.durability: calls`. Knows no outbox."""

from collections.abc import Awaitable, Callable

from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call


class StoredEvents:
    """Waits for the events of each call.

    Args:
        written: waits until the events so far are stored.
    """

    def __init__(self, written: Callable[[], Awaitable[None]]) -> None:
        self._written = written

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call, then wait for its events.

        Raises:
            StateUnavailable: they cannot be stored at the moment.
        """
        result = await call_next(call)
        await self._written()
        return result
