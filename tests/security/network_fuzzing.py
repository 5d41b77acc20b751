"""Hostile inputs for a running server on the network, while another client pings it.

Each input uses a connection of its own. Its responses are read a few inputs later, so that slow ones are noticed too.
No input may cause status 500, internal text in a response, a ping that takes more than a second, or a memory leak.
"""

import base64
import json
import re
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from random import Random

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from websockets.sync.client import ClientConnection

from tests.security.fuzz_failure import ATTEMPTS, LONGEST_SECONDS, Failure
from tests.security.hostile_inputs import CLAIMS, ODD, credential_inputs, http_input, websocket_input
from tests.support.authorization_server import AUDIENCE, ISSUER, AuthorizationServer, authorization_server
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import request
from tests.support.guarded import Guarded, guarded
from tests.support.processes import LOOPBACK
from tests.support.websocket_conversation import websocket

HOSTILE, OTHER = "127.0.0.3", "127.0.0.2"
OPEN_AT_ONCE = 8
WARM_UP_PART = 4  # one in this many inputs is sent before the memory is measured
GROWTH_PERCENT = 10
BACK_SECONDS = 30.0
SESSION_SECONDS = 5
FAILED = re.compile(rb"HTTP/1\.1 (500|502) ")
INTERNAL = re.compile(
    rb'Traceback|File \\?"/|site-packages|\.py\b|\b[A-Z][A-Za-z]+Error\b|object at 0x|"kind": ?"internal"'
)

Inputs = Callable[[Random], bytes]


def odd_tokens(issuer: AuthorizationServer) -> Inputs:
    """Return a generator of properly signed tokens with odd claims."""

    def generate(random: Random) -> bytes:
        claims = issuer.claims()
        for name in random.sample(CLAIMS, random.choice((1, 1, 1, 2, 8))):
            claims[name] = random.choice((*ODD, claims.get(name), int(time.time()) + random.randrange(-100, 100)))
        header = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}
        parts = [json.dumps(part).replace("Infinity", "1e400").encode() for part in (header, claims)]
        whole = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        signature = issuer.rsa_key.sign(whole, PKCS1v15(), SHA256())
        return whole + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")

    return generate


class OtherClient:
    """A client unrelated to the inputs: it pings on one HTTP connection and on one WebSocket."""

    def __init__(self, client: httpx.Client, session: str, connection: ClientConnection) -> None:
        self._client = client
        self._headers = {"Mcp-Session-Id": session}
        self._connection = connection

    def ping(self, after: bytes) -> float:
        """Ping on both connections and return the seconds until the slower response.

        Raises:
            Failure: a response is missing or wrong.
        """
        began = time.monotonic()
        try:
            answer = self._client.post("/mcp", json=request(1, "ping"), headers=self._headers)
            answered = time.monotonic()
            if answer.status_code != httpx.codes.OK:
                raise Failure(f"a ping of another client got {answer.status_code}", after)
            self._connection.send(json.dumps(request(2, "ping")))
            reply = json.loads(self._connection.recv(PATIENCE))
        except (httpx.HTTPError, TimeoutError, OSError) as problem:
            raise Failure(f"a ping of another client got no answer ({problem!r})", after) from None
        if "result" not in reply:
            raise Failure(f"a ping of another client got {reply}", after)
        return max(answered - began, time.monotonic() - answered)


class HostileClient:
    """Sends inputs, each on a connection of its own, and checks the responses."""

    def __init__(self, gate: Guarded) -> None:
        self._gate = gate
        self._open: deque[tuple[socket.socket, bytes]] = deque()

    def send(self, data: bytes) -> None:
        """Send an input, and check the responses to the oldest open one.

        Raises:
            Failure: a response is not allowed.
        """
        connection = socket.create_connection((LOOPBACK, self._gate.server.port), PATIENCE, (HOSTILE, 0))
        connection.settimeout(LONGEST_SECONDS)
        self._open.append((connection, data))
        with suppress(ConnectionError, TimeoutError):  # the server may refuse the input before its end
            connection.sendall(data)
        if len(self._open) > OPEN_AT_ONCE:
            self._look()

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            self._open.popleft()[0].close()

    def finish(self) -> None:
        """Check all remaining responses.

        Raises:
            Failure: a response is not allowed.
        """
        while self._open:
            self._look()

    def _look(self) -> None:
        connection, data = self._open.popleft()
        with connection:
            answers = _received(connection)
        if found := FAILED.search(answers):
            raise Failure(f"status {found[1].decode()} ({answers[:500]!r}) for this", data)
        if found := INTERNAL.search(answers):
            raise Failure(
                f"internal text ({answers[max(0, found.start() - 200) : found.end() + 200]!r}) for this", data
            )


def _received(connection: socket.socket) -> bytes:
    """Return the bytes received so far."""
    connection.setblocking(False)
    parts = []
    with suppress(OSError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def resident_kibibytes(gate: Guarded) -> int:
    """Return the resident memory of the server in KiB."""
    lines = Path(f"/proc/{gate.server.child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def kinds(issuer: AuthorizationServer) -> dict[str, Inputs]:
    """Return the generators by name."""
    return {"http": http_input, "websocket": websocket_input, "credentials": credential_inputs(odd_tokens(issuer))}


@contextmanager
def fuzzed_server(issuer: AuthorizationServer) -> Iterator[Guarded]:
    """Run a server that accepts callers without credentials, with keys and with tokens."""
    oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
    with tempfile.TemporaryDirectory() as place:
        security = {"require_key": False, "anonymous": "all", "oauth": oauth}
        with guarded(Path(place), security=security, mcp={"session_idle_seconds": SESSION_SECONDS}) as gate:
            yield gate


@contextmanager
def other_client(gate: Guarded) -> Iterator[OtherClient]:
    """Connect another client, from an address of its own."""
    with ExitStack() as stack:
        client = stack.enter_context(gate.client(address=OTHER))
        connection = stack.enter_context(websocket(gate.server, source_address=(OTHER, 0)))
        yield OtherClient(client, gate.session(client), connection)


def fuzz_network(inputs: int, seed: int, only: str | None = None) -> None:
    """Send the given number of hostile inputs over the network, of all kinds or of one.

    Raises:
        Failure: an input is mishandled.
    """
    random = Random(seed)
    with authorization_server() as issuer, fuzzed_server(issuer) as gate:
        generators = [generate for name, generate in kinds(issuer).items() if only in (None, name)]
        attack(gate, inputs // WARM_UP_PART, random, generators)
        before = resident_kibibytes(gate)
        attack(gate, inputs - inputs // WARM_UP_PART, random, generators)
        enough = before * (100 + GROWTH_PERCENT) // 100
        try:
            wait_until(lambda: resident_kibibytes(gate) <= enough, "memory is back", BACK_SECONDS)
        except TimeoutError:
            raise Failure(f"{before} KiB became {resident_kibibytes(gate)} KiB", b"") from None
        if "Traceback" in (log := gate.server.child.stderr()):
            raise Failure(f"an error that was not foreseen: {log[log.index('Traceback') :][:5_000]}", b"")


def _delays(hostile: HostileClient, other: OtherClient, data: bytes) -> Iterator[float]:
    """Send an input and yield the duration of a ping, repeatedly, since a busy machine may delay one."""
    for _ in range(ATTEMPTS):
        hostile.send(data)
        yield (delay := other.ping(data))
        if delay <= LONGEST_SECONDS:
            return


def attack(gate: Guarded, inputs: int, random: Random, generators: list[Inputs]) -> None:
    """Send inputs, and ping after each.

    Raises:
        Failure: an input is mishandled.
    """
    with closing(HostileClient(gate)) as hostile, other_client(gate) as other:
        data = b""
        for _ in range(inputs):
            data = random.choice(generators)(random)
            if min(_delays(hostile, other, data)) > LONGEST_SECONDS:
                raise Failure("pings of another client take too long after this", data)
            if gate.server.child.process.poll() is not None:
                raise Failure("the server has ended after this", data)
        hostile.finish()
        other.ping(data)
