"""Reads the output of a command, and keeps its beginning and end in memory; a long output is also stored on disk.

One thread reads both streams, so that neither the command nor the event loop is blocked, and notes in which order their
lines arrive. Memory is bounded by the output limit of a result. Must not know how the command runs.
"""

import codecs
import fcntl
import os
import select
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from typing import IO

from tfo_mcp.application.ports import Output
from tfo_mcp.infrastructure.commands.output_store import SavedOutputs, Spool

_CHUNK = 256 * 1024
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ: int | None = getattr(fcntl, "F_SETPIPE_SZ", None)
_LOOK_MILLISECONDS = 100
_NEWS_BYTES = 2048
_MOST_CHANGES = 10_000  # between the streams; later lines are shown by stream


class OutputReader:
    """Reads both streams of one command.

    Args:
        streams: stdout and stderr.
        most: maximum bytes of each stream in a result.
        saved: stores longer outputs.
        owner: account that may read the stored outputs.
    """

    def __init__(self, streams: Sequence[IO[bytes]], most: int, saved: SavedOutputs, owner: str) -> None:
        self._outputs = [_Stream(stream.fileno(), most, saved, owner) for stream in streams]
        self._order: list[tuple[_Stream, int]] = []
        self._abandoned = Event()

    def run(self) -> None:
        """Read until all processes have closed the streams, or until `abandon` is called."""
        open_ones = {output.descriptor: output for output in self._outputs}
        poll = select.poll()
        for descriptor in open_ones:
            poll.register(descriptor, select.POLLIN)
        try:
            while open_ones and not self._abandoned.is_set():
                for descriptor, _ in poll.poll(_LOOK_MILLISECONDS):
                    data = os.read(descriptor, _CHUNK)
                    if data:
                        open_ones[descriptor].take(data)
                        self._note(open_ones[descriptor])
                    else:
                        poll.unregister(descriptor)
                        del open_ones[descriptor]
        finally:
            for output in self._outputs:
                output.close()

    def abandon(self) -> None:
        """Stop reading, although a process may still write."""
        self._abandoned.set()

    @property
    def size(self) -> int:
        """The number of bytes read so far."""
        return sum(output.size for output in self._outputs)

    def news(self) -> str:
        """Return the end of the output that was read since the last call."""
        return "".join(output.news() for output in self._outputs)

    def results(self) -> list[Output]:
        """Return both outputs, truncated for a result."""
        return [output.result() for output in self._outputs]

    def shown(self) -> str:
        """Return both outputs as a terminal shows them: their lines in the order of arrival; one after the other if one
        was truncated."""
        outputs = self.results()
        if any(output.cut for output in outputs):
            return "".join(_ended(output.text) for output in outputs)
        wholes = {stream: stream.whole for stream in self._outputs}
        begun, lines = dict.fromkeys(self._outputs, 0), bytearray()
        for stream, end in self._order:
            lines += wholes[stream][begun[stream] : end]
            begun[stream] = end
        rests = [wholes[stream][start:].decode(errors="replace") for stream, start in begun.items()]
        return lines.decode(errors="replace") + "".join(map(_ended, rests))

    def _note(self, stream: "_Stream") -> None:
        """Note that lines of a stream have arrived."""
        if self._order and self._order[-1][0] is stream:
            self._order[-1] = stream, stream.lines_end
        elif len(self._order) < _MOST_CHANGES:
            self._order.append((stream, stream.lines_end))


class _Stream:
    def __init__(self, descriptor: int, most: int, saved: SavedOutputs, owner: str) -> None:
        self.descriptor = descriptor
        self.size = 0
        self.lines_end = 0
        """The number of bytes up to the end of the last complete line."""
        self._most = most
        self._half = (most + 1) // 2
        self._saved = saved
        self._owner = owner
        self._head = bytearray()
        self._tail = bytearray()
        self._spool: Spool | None = None
        self._saved_size: int | None = None
        self._told = 0
        if _F_SETPIPE_SZ is not None:
            with suppress(OSError):  # exceeds the limit of this user
                fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)

    def take(self, data: bytes) -> None:
        """Add data: keep the beginning and the end in memory, and store the whole once it is over the limit."""
        before = self.size
        self.size += len(data)
        if (newline := data.rfind(b"\n")) >= 0:
            self.lines_end = before + newline + 1
        if before <= self._most < self.size:
            self._spool = self._saved.begin(self._owner)
            if self._spool is not None:
                self._spool.write(self.whole)
        if self._spool is not None:
            self._spool.write(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if len(data) >= self._most:
            self._tail = bytearray(data[-self._most :])
        else:
            self._tail += data
            if self.size > self._most:
                del self._tail[: -self._most]

    @property
    def whole(self) -> bytes:
        """All bytes of an output that is not truncated."""
        return bytes(self._head + self._tail)

    def close(self) -> None:
        """Complete the stored output."""
        if self._spool is not None:
            self._saved_size = self._spool.close()

    def news(self) -> str:
        """Return the end of the text that was not returned yet, at most 2,048 bytes."""
        new = self.size - self._told
        self._told = self.size
        if new <= 0:
            return ""
        kept = self._tail or self._head
        return bytes(kept[-min(new, _NEWS_BYTES) :]).decode(errors="replace")

    def result(self) -> Output:
        """Return the output, truncated for a result."""
        if self.size <= self._most:
            return Output(self.whole.decode(errors="replace"), self.size)
        tail = bytes(self._tail[-(self._most - self._half) :]) if self._most > self._half else b""
        left_out = self.size - len(self._head) - len(tail)
        text = f"{_decoded_head(self._head)}\n[… {left_out} bytes left out …]\n{_decoded_tail(tail)}"
        if self._spool is None or self._saved_size is None:
            return Output(text, self.size, cut=True)
        return Output(text, self.size, cut=True, saved=self._spool.name, saved_size=self._saved_size)


def _decoded_head(data: bytearray) -> str:
    """Return the text without an incomplete last character."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(data), final=False)


def _decoded_tail(data: bytes) -> str:
    start = 0
    while start < min(4, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:].decode(errors="replace")


def _ended(text: str) -> str:
    """Return text that ends its last line, if there is one."""
    return text if not text or text.endswith("\n") else f"{text}\n"
