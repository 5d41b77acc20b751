"""MemoryPostRelay: passes messages that clients post to the servers of one process."""

from collections.abc import Callable
from secrets import token_urlsafe

from tfo_mcp.application.ports import PostReceiver

_STREAM_BYTES = 24


class MemoryPostRelay:
    """Passes messages to the receivers that share this object."""

    def __init__(self) -> None:
        self._receivers: list[PostReceiver] = []

    def new_stream(self) -> str:
        """Return an unguessable name."""
        return token_urlsafe(_STREAM_BYTES)

    def receive(self, receiver: PostReceiver) -> Callable[[], None]:
        """Add a receiver; return a function that removes it."""
        self._receivers.append(receiver)
        return lambda: self._receivers.remove(receiver)

    async def post(self, stream: str, caller: str, message: bytes) -> bytes | None:
        """Return the reply of the receiver that has the stream; None if there is no such stream."""
        for receiver in tuple(self._receivers):
            reply = await receiver(stream, caller, message)
            if reply is not None:
                return reply
        return None
