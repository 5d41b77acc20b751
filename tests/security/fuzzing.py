"""A mutation fuzzer: mutated client messages for the codec and for a running server.

    python -m tests.security.fuzzing --inputs 1000000 [--seed N]

The same seed gives the same inputs. No input may cause a crash, silence of more than a second, more than one response
or an internal error. A tenth of the inputs go to the server, over a Unix socket, the rest to the codec. One in fifty
is a hostile message (`hostile_inputs`) instead of a mutated one. The same number of changed params is compared with
the official types (`schema_fuzzing`). As many hostile inputs again go to a server on the
network, while another client pings it (`network_fuzzing`).
"""

import argparse
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from tests.security.fuzz_failure import ATTEMPTS, LONGEST_SECONDS, Failure
from tests.security.hostile_inputs import message
from tests.security.network_fuzzing import fuzz_network
from tests.security.schema_fuzzing import fuzz_schemas
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, notification, request, stateless_params
from tests.support.processes import PROJECT, UnixServer, unix_server
from tfo_mcp.presentation import jsonrpc

TO_THE_SERVER = 10  # one in this many inputs
HOSTILE = 50  # one in this many inputs
_ECHO = {"name": "echo", "arguments": {"message": "hällo", "n": [1, 2.5, None, {"a": True}]}}
SEEDS: tuple[bytes, ...] = tuple(
    json.dumps(message, ensure_ascii=ascii_only).encode()
    for ascii_only in (True, False)
    for message in (
        request(1, "ping"),
        request("1", "tools/list", {"cursor": "AWVjaG8"}),
        request(2, "tools/call", _ECHO),
        request(3, "tools/call", stateless_params(_ECHO)),
        request(4, "server/discover", stateless_params()),
        request(5, "resources/read", {"uri": "status://health"}),
        request(6, "resources/read", {"uri": "file:///a%2Fb/%00?x#y"}),
        request(7, "prompts/get", {"name": "debug_help", "arguments": {"code": "x", "error": "y"}}),
        request(
            8,
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "debug_help"}, "argument": {"name": "language", "value": "p"}},
        ),
        request(9, "logging/setLevel", {"level": "error"}),
        request(10, "resources/subscribe", {"uri": "status://health"}),
        request(11, "initialize", initialize_params(LATEST_HANDSHAKE)),
        [request(12, "ping"), notification("notifications/cancelled", {"requestId": 1, "reason": "x"})],
        {"jsonrpc": "2.0", "id": 13, "result": {"roots": [{"uri": "file:///x"}]}},
        {"jsonrpc": "2.0", "id": 14, "error": {"code": -1, "message": "no", "data": None}},
    )
)
_PIECES: tuple[bytes, ...] = (
    b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"', b"\\", b"\\u0000", b"\\ud800", b"{", b"}", b"[",
    b"]", b",", b":", b"null", b"true", b"-0", b"1e999", b"1e-999", b"9" * 400, b"-9223372036854775809",
    b"18446744073709551616", b"0.1e1", b"NaN", b"Infinity", b'"id":null', b'"id":{}', b'"id":1.5', b'"method":1',
    b'"params":[]', b'"params":null', b'"jsonrpc":"1.0"', b"[" * 70, b'{"a":' * 70, b"[[[[" * 5000, b" " * 1000,
    b"\xef\xbb\xbf", b'"_meta":{}', b"\r", b"\t", b'"__proto__":{}', b'"name":"../../etc/passwd"', b"a" * 70_000,
)  # fmt: skip


def mutations(seed: int) -> Iterator[bytes]:
    """Yield mutated and hostile messages forever, each on one line."""
    random = Random(seed)
    for number in count():
        if number // TO_THE_SERVER % HOSTILE == 0:  # to the server as well as to the codec
            yield message(random)
            continue
        data = bytearray(random.choice(SEEDS))
        for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
            _spoil(random, data)
        yield bytes(data).replace(b"\n", b" ")


def _spoil(random: Random, data: bytearray) -> None:
    place = random.randrange(len(data) + 1)
    end = min(len(data), place + random.choice((1, 2, 5, 20, 100)))
    match random.randrange(7):
        case 0 if place < len(data):
            data[place] ^= 1 << random.randrange(8)
        case 1:
            del data[place:end]
        case 2:
            data[place:place] = data[place:end]
        case 3:
            data[place:place] = random.choice(_PIECES)
        case 4:
            data[place:end] = random.choice(_PIECES)
        case 5:
            other = random.choice(SEEDS)
            start = random.randrange(len(other))
            data[place:] = other[start:]
        case 6:
            data[place:place] = random.randbytes(random.choice((1, 4, 64)))


def check_codec(data: bytes) -> None:
    """Decode an input.

    Raises:
        Failure: decoding takes too much processor time (a busy machine may delay any input).
    """
    began = time.thread_time()
    jsonrpc.decode(data)
    if time.thread_time() - began > LONGEST_SECONDS:
        raise Failure("to decode this takes too long", data)


@dataclass
class Conversation:
    """A session with a server on a Unix socket that sends any input."""

    server: UnixServer
    connection: socket.socket | None = None
    rest: bytes = b""
    count: int = 0
    answered: int = 0

    def check(self, data: bytes) -> None:
        """Send an input and a ping behind it; check the responses before that of the ping, and its time.

        Silence is a failure when it comes back in new sessions, since a busy machine may delay one response.

        Raises:
            Failure: a response is wrong, or there is none.
        """
        for _ in range(ATTEMPTS):
            try:
                self._check(data)
            except TimeoutError:
                self.close()
            else:
                return
        raise Failure("the server is silent after this", data)

    def _check(self, data: bytes) -> None:
        if self.connection is None:
            self._open()
        self.count += 1
        own = f"behind-{self.count}"
        self._send(data)
        self._send(json.dumps(request(own, "ping")).encode())
        replies: list[Any] = []
        deadline = time.monotonic() + LONGEST_SECONDS
        try:
            while True:
                reply = self._next(deadline)
                if isinstance(reply, dict) and reply.get("id") == own:
                    break
                if not isinstance(reply, dict) or "method" not in reply:
                    replies.append(reply)
        except ConnectionError:
            self.close()  # the input may have been `shutdown`; then a new session must work
            self._open()
        self.answered += len(replies)
        if self.answered > self.count:  # responses may come late, but at most one per input
            raise Failure(f"{self.answered} answers to {self.count} messages, after this", data)
        for reply in replies:
            for one in reply if isinstance(reply, list) else [reply]:
                if one.get("error", {}).get("data", {}).get("kind") == "internal":  # an unexpected exception
                    raise Failure(f"an internal error for this ({one})", data)

    def close(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection, self.rest = None, b""

    def _open(self) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(self.server.path))
        self._send(json.dumps(request("open", "initialize", initialize_params(LATEST_HANDSHAKE))).encode())
        self._next(time.monotonic() + LONGEST_SECONDS)
        self._send(json.dumps(notification("notifications/initialized")).encode())

    def _send(self, line: bytes) -> None:
        assert self.connection is not None
        self.connection.settimeout(LONGEST_SECONDS)
        self.connection.sendall(line + b"\n")

    def _next(self, deadline: float) -> Any:
        assert self.connection is not None
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            chunk = self.connection.recv(65536)
            if not chunk:
                raise ConnectionError
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)


def fuzz(inputs: int, seed: int) -> None:
    """Send the given number of inputs.

    Raises:
        Failure: an input is mishandled.
    """
    configuration = {
        "security": {"audit": False},
        "logging": {"level": "error"},
        "commands": {"allow": ["true"], "shell": False},
    }
    with unix_server(configuration, variables={"PYTHONPATH": str(PROJECT)}) as server:
        with closing(Conversation(server)) as conversation:
            for number, data in zip(range(inputs), mutations(seed), strict=False):
                if number % TO_THE_SERVER:
                    check_codec(data)
                else:
                    conversation.check(data)
        if server.child.process.poll() is not None:
            raise Failure("the server has ended", b"")


def main() -> None:
    """Run the fuzzer with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"{options.inputs} inputs, seed {options.seed}", flush=True)
    began = time.monotonic()
    fuzz(options.inputs, options.seed)
    fuzz_schemas(options.inputs, options.seed)
    fuzz_network(options.inputs // HOSTILE, options.seed)
    print(f"all were borne, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
