"""TextProgress: sends generated text to the client as progress messages, below the rate limit of the channel."""

from collections.abc import Callable
from time import monotonic

from tfo_mcp.application.context import Channel

_INTERVAL_SECONDS = 0.01


class TextProgress:
    """Joins pieces that follow each other within the interval; the progress value is the number of characters."""

    def __init__(self, channel: Channel, clock: Callable[[], float] = monotonic) -> None:
        self._channel = channel
        self._clock = clock
        self._pending: list[str] = []
        self._sent = 0
        self._sent_at = float("-inf")

    async def add(self, text: str) -> None:
        """Send a piece of text, now or with the next one."""
        self._pending.append(text)
        if self._clock() - self._sent_at >= _INTERVAL_SECONDS:
            await self.flush()

    async def flush(self) -> None:
        """Send what is pending."""
        text = "".join(self._pending)
        if text:
            self._pending.clear()
            self._sent += len(text)
            self._sent_at = self._clock()
            await self._channel.progress(float(self._sent), None, text)
