"""A client of one stdio server: performs the handshake, and calls one by one or pipelined.

It reads and writes the pipes with plain system calls, to keep its own overhead negligible.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable

from bench.errors import BenchError
from bench.messages import INITIALIZE, INITIALIZED, TOKEN, Message, encode, parse

ANSWER_SECONDS = 30.0
READ_SIZE = 1 << 18
TOKEN_BYTES = str(TOKEN).encode()


class StdioClient:
    """Speaks newline-framed JSON-RPC with a server process."""

    def __init__(
        self, process: subprocess.Popen[bytes], message: Message, check: Callable[[Message, int], None]
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin.fileno()
        self._stdout = process.stdout.fileno()
        self._rest = b""
        self._next = TOKEN
        self._pieces = encode(message).split(TOKEN_BYTES)
        self._check = check
        self._checked: list[bytes] | None = None

    def initialize(self) -> None:
        """Send `initialize` and wait for the response."""
        self._write(encode(INITIALIZE) + b"\n")
        if "result" not in self._answer(INITIALIZE["id"]):
            raise BenchError("initialize was refused")

    def initialized(self) -> None:
        """Send `notifications/initialized`."""
        self._write(encode(INITIALIZED) + b"\n")

    def one_by_one(self, duration: float) -> float:
        """Return the calls per second when each waits for the response to the previous one."""
        begin = time.perf_counter()
        end = begin + duration
        calls = 0
        while (now := time.perf_counter()) < end:
            number = self._take_numbers(1)
            self._write(self._frame(number))
            self._check_line(self._answer_line(b'"id":%d' % number), number)
            calls += 1
        return calls / (now - begin)

    def pipelined(self, calls: int) -> float:
        """Return the calls per second when all are written without waiting; each must get exactly one response."""
        first = self._take_numbers(calls)
        pending = memoryview(b"".join(self._frame(number) for number in range(first, first + calls)))
        received: list[bytes] = []
        lines = 0
        begin = time.perf_counter()
        os.set_blocking(self._stdin, False)
        try:
            while lines < calls:
                writers = [self._stdin] if pending else []
                readable, writable, _ = select.select([self._stdout], writers, [], ANSWER_SECONDS)
                if writable:
                    pending = pending[os.write(self._stdin, pending) :]
                if readable:
                    data = self._read()
                    received.append(data)
                    lines += data.count(b"\n")
                if not readable and not writable:
                    raise BenchError(f"{calls - lines} of {calls} pipelined calls are not answered")
        finally:
            os.set_blocking(self._stdin, True)
        rate = calls / (time.perf_counter() - begin)
        self._check_all(b"".join(received), first, calls)
        return rate

    def _check_line(self, line: bytes, number: int) -> None:
        """Check a response; parse it, which is slow, only if it differs from the last one in more than its number."""
        name = b"%d" % number
        if self._checked is not None and name.join(self._checked) == line:
            return
        self._check(parse(line), number)
        self._checked = line.split(name)

    def _check_all(self, received: bytes, first: int, calls: int) -> None:
        answers: dict[int, Message] = {}
        for line in received.splitlines():
            answer = parse(line)
            if answer.get("id") in answers:
                raise BenchError(f"call {answer['id']} was answered twice")
            answers[answer.get("id", 0)] = answer
        for number in range(first, first + calls):
            self._check(answers.get(number, {}), number)

    def _take_numbers(self, number: int) -> int:
        first = self._next
        self._next += number
        return first

    def _frame(self, number: int) -> bytes:
        return (b"%d" % number).join(self._pieces) + b"\n"

    def _answer(self, number: int) -> Message:
        """Read until the response with this id, and skip notifications."""
        while True:
            message = parse(self._line(f"no answer to {number}"))
            if message.get("id") == number:
                return message

    def _answer_line(self, name: bytes) -> bytes:
        """Read until a line that contains an id, and skip notifications."""
        while name not in (line := self._line("no answer")):
            pass
        return line

    def _line(self, problem: str) -> bytes:
        """Return the next line."""
        pieces = [self._rest]
        while b"\n" not in pieces[-1]:
            if not select.select([self._stdout], [], [], ANSWER_SECONDS)[0]:
                raise BenchError(f"{problem} within {ANSWER_SECONDS:.0f} s")
            pieces.append(self._read())
        line, _, self._rest = b"".join(pieces).partition(b"\n")
        return line

    def _read(self) -> bytes:
        data = os.read(self._stdout, READ_SIZE)
        if not data:
            raise BenchError("the server closed its output")
        return data

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._stdin, data) :]
