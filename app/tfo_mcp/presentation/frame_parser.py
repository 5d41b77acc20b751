"""FrameParser: parses the frames of one conversation in their order of arrival. Knows no method and no session."""

from asyncio import sleep

import anyio

from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Batch, Message

_SLICE_BYTES = 256 * 1024  # larger frames are parsed in steps, so that other calls are served in between


class FrameParser:
    """Parses small frames at once and large ones in steps of the event loop."""

    def __init__(self) -> None:
        self._order: anyio.Lock | None = None

    def parse_at_once(self, frame: bytes) -> Message | Batch | None:
        """Return the message in a frame; None if the frame is large, or a frame before it is still being parsed."""
        if len(frame) <= _SLICE_BYTES and (self._order is None or not self._order.locked()):
            return jsonrpc.decode(frame)
        return None

    async def parse(self, frame: bytes) -> Message | Batch:
        """Return the message in a frame; messages keep their order of arrival.

        Large frames are checked and parsed in separate event-loop steps, so that they delay other clients less.
        """
        self._order = self._order or anyio.Lock(fast_acquire=True)
        async with self._order:
            if len(frame) <= _SLICE_BYTES:
                return jsonrpc.decode(frame)
            refused = jsonrpc.over_limits(frame)
            await sleep(0)
            message = refused or jsonrpc.parse(frame)
            await sleep(0)
            return message
