"""Slow clients: those that do not read, or never finish a request, lose their connections.

All slow clients run at the same time: some leave a large response unread, others send half a request. Meanwhile
other clients of the same processes send pings.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import CROWDED
from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.http_client import JSON
from tests.support.processes import LOOPBACK
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.services import Services, services
from tests.support.sse_conversation import SseConversation
from tests.support.stalled_clients import STALLED, StalledClient
from tests.support.streamable_http import UPGRADE, raw_post, raw_request

STALLED_SECONDS = 10.0
LOADED = 3.0  # extra seconds for a loaded machine
QUICK = 1.0  # seconds in which another client's ping is answered
ARRIVAL_SECONDS = 15.0  # for the arrival of a whole request
GOES_ON = "http in a session"  # where a disconnect does not cancel the call
TYPE = ("Content-Type", JSON)
CANCELLED = [name for name in STALLED if name != GOES_ON]


@dataclass
class Stall:
    """What happened to the clients and their neighbours."""

    senders: dict[str, RawConnection] = field(default_factory=dict)
    began: float = field(default_factory=monotonic)
    clients: dict[str, StalledClient] = field(default_factory=dict)
    cancelled_after: dict[str, float] = field(default_factory=dict)
    slowest_ping: dict[str, float] = field(default_factory=dict)
    pings: int = 0

    def ping(self, neighbours: Mapping[str, Conversation]) -> None:
        """Send a ping over each transport."""
        for transport, neighbour in neighbours.items():
            began = monotonic()
            neighbour.result("ping")
            self.slowest_ping[transport] = max(self.slowest_ping.get(transport, 0.0), monotonic() - began)
        self.pings += 1


@pytest.fixture(scope="module")
def stall(roots: Path) -> Iterator[Stall]:
    """Let every client stall until its call is cancelled, or until the calls of all others are."""
    with services(settings(roots, stream_history=10)) as own, ExitStack() as stack:
        neighbours = {transport: stack.enter_context(own.fresh(transport, LATEST_HANDSHAKE)) for transport in CROWDED}
        happened = Stall()
        for name, half in halves(own).items():
            happened.senders[name] = stack.enter_context(raw_connection(own.processes.network.port))
            happened.senders[name].send(half)
        for name, call in STALLED.items():
            client = call(own.processes, {"name": "pour", "arguments": {"key": name}})
            happened.clients[name] = stack.enter_context(closing(client))
        large = {"name": "long_text", "arguments": {"length": 4 * 1024 * 1024}}
        stack.enter_context(closing(STALLED["unix"](own.processes, large)))  # reads half; others go on
        began = monotonic()

        def all_are_cancelled() -> bool:
            happened.ping(neighbours)
            for name in STALLED.keys() - happened.cancelled_after.keys():
                if "cancelled" in story(neighbours, name):
                    happened.cancelled_after[name] = monotonic() - began
            return happened.cancelled_after.keys() >= set(CANCELLED)

        wait_until(all_are_cancelled, "the calls of stalled clients are cancelled", STALLED_SECONDS + 2 * LOADED)
        neighbours["http"].text("open_gate", {"key": GOES_ON})
        assert neighbours["http"].text("story", {"key": GOES_ON, "until": "finished"}) == "pouring, finished"
        yield happened


def halves(own: Services) -> Mapping[str, bytes]:
    """Return unfinished requests by name."""
    port, length = own.processes.network.port, ("Content-Length", "100")
    stream = own.shared("sse", STATELESS)
    assert isinstance(stream, SseConversation)
    return {
        "a body": raw_post(port, b'{"jsonrpc"', length),
        "a body beside a stream": raw_request("POST", stream.endpoint, LOOPBACK, [TYPE, length], b'{"jsonrpc"'),
        "headers": b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        "a handshake": raw_request("GET", "/ws", LOOPBACK, UPGRADE)[:-2],
        "nothing": b"",
    }


def story(neighbours: Mapping[str, Conversation], name: str) -> str:
    """Return the story of a call so far: its steps up to now."""
    neighbour = neighbours["unix" if name == "unix" else "websocket"]
    return neighbour.text("story", {"key": name, "until": "pouring"})


@pytest.mark.parametrize("name", CANCELLED)
def test_a_call_whose_client_does_not_read_is_cancelled_after_a_while(stall: Stall, name: str) -> None:
    """Not at once, since the client may merely be slow."""
    assert STALLED_SECONDS - 1.0 < stall.cancelled_after[name] < STALLED_SECONDS + LOADED


@pytest.mark.parametrize("name", STALLED)
def test_the_connection_of_a_client_that_does_not_read_has_ended(stall: Stall, name: str) -> None:
    """The output was cut off: it contains no response and no end of a stream."""
    rest = stall.clients[name].rest()
    assert b'"emergency"' in rest
    assert b'"result"' not in rest
    assert not rest.endswith(b"0\r\n\r\n")


def test_a_call_in_a_session_goes_on_without_its_client(stall: Stall) -> None:
    """R52: its stream can be resumed over Streamable HTTP."""
    assert GOES_ON not in stall.cancelled_after


@pytest.mark.parametrize("transport", CROWDED)
def test_the_neighbours_of_clients_that_do_not_read_are_served_at_once(stall: Stall, transport: str) -> None:
    assert stall.pings > 10
    assert stall.slowest_ping[transport] < QUICK


@pytest.mark.parametrize("name", ["a body", "a body beside a stream"])
def test_a_body_that_does_not_come_to_its_end_is_answered_with_408(stall: Stall, name: str) -> None:
    """R47."""
    assert stall.senders[name].response(seconds_left(stall)).status == 408


@pytest.mark.parametrize("name", ["headers", "a handshake", "nothing"])
def test_headers_that_do_not_come_to_their_end_cost_the_connection(stall: Stall, name: str) -> None:
    """R47: the server answers 408 or just closes the connection, but never waits forever."""
    received = stall.senders[name].received(seconds_left(stall))
    assert received == b"" or received.startswith(b"HTTP/1.1 4")


def seconds_left(stall: Stall) -> float:
    """Return the seconds until the arrival deadline of requests."""
    return max(stall.began + ARRIVAL_SECONDS + LOADED - monotonic(), 1.0)
