"""A conversation with newline framing, one frame per line; shared by stdio and the Unix socket.

A subclass writes the bytes and reads the lines. Knows neither pipes nor sockets.
"""

from abc import abstractmethod

from tests.support.conversations import Conversation


class LineConversation(Conversation):
    """A client of a transport with newline framing."""

    ordered = True
    local = True

    @abstractmethod
    def write(self, raw: bytes) -> None:
        """Write these bytes unchanged."""

    def send_frame(self, frame: bytes, message: object = None) -> None:
        """Write one line."""
        self.write(frame + b"\n")
