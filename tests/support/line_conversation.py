"""A conversation in lines: what standard input and output and the Unix socket have in common, one frame a line.

A subclass says how bytes are written and where lines come from. Knows neither pipes nor sockets.
"""

from abc import abstractmethod

from tests.support.conversations import Conversation


class LineConversation(Conversation):
    """The client of a wire with newline framing."""

    ordered = True
    local = True

    @abstractmethod
    def write(self, raw: bytes) -> None:
        """Write these bytes as they are."""

    def send_frame(self, frame: bytes, message: object = None) -> None:
        """Write one line."""
        self.write(frame + b"\n")
