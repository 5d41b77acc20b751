"""Stopping a server: calls in flight are answered, and each transport closes its connections in its own way.

A network server and a Unix socket server are stopped once, with calls in flight over every transport. Some of these
calls finish after a while, others never do. `test_stdio` shows that stdio exits together with its host.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import CROWDED, FEW, ONE_PROCESS, Place, over
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import STATELESS, JsonObject, MessageId
from tests.support.processes import Child
from tests.support.services import Services, services
from tests.support.sse_conversation import SseConversation
from tests.support.stalled_clients import STALLED
from tests.support.websocket_conversation import WebSocketConversation

PLACES = [Place(transport, revision) for transport in CROWDED for revision in FEW]
GRACE = 5.0  # seconds for calls to finish
STALLED_SECONDS = 10.0  # seconds for which a client may read nothing
LOADED = 3.0  # extra seconds for a loaded machine
SERVICE_RESTART = 1012
STUCK = ("hold", "hold_thread")
Calls = dict[tuple[str, Place], tuple[Conversation, MessageId]]


pytestmark = ONE_PROCESS("its processes are stopped")


@dataclass
class Stop:
    """The calls and connections that were open when the servers were stopped, and the time of the stop."""

    own: Services
    stalled: Services
    """Servers whose clients read nothing."""
    calls: Calls = field(default_factory=dict)
    idle: dict[str, Conversation] = field(default_factory=dict)
    began: float = 0.0

    def reply(self, name: str, place: Place) -> JsonObject:
        """Return the reply to the call of a tool."""
        conversation, identifier = self.calls[name, place]
        return conversation.reply(identifier)


@pytest.fixture(scope="module")
def stop(roots: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stop]:
    """Stop the servers, and release the calls of `hold_for` once the shutdown has begun."""
    folder = tmp_path_factory.mktemp("stopping")
    configuration = settings(roots)
    configuration["server"]["drain_seconds"] = GRACE
    with services(configuration) as own, services(configuration) as others, ExitStack() as stack:
        stopping = Stop(own, others)
        for name, call in STALLED.items():
            client = call(others.processes, {"name": "pour", "arguments": {"key": name}})
            stack.enter_context(closing(client))
        for place in PLACES:
            for name in ("hold_for", *STUCK):
                begin(stopping, stack, place, name, folder)
        for transport in ("unix", "websocket", "sse"):
            idle = stopping.idle[transport] = stack.enter_context(own.fresh(transport, STATELESS))
            idle.start("subscriptions/listen", {"notifications": {}}, id="listening")
            idle.notification("notifications/subscriptions/acknowledged")
        stopping.began = monotonic()
        for child in (*children(own), *children(others)):
            child.process.terminate()
        for idle in stopping.idle.values():
            idle.await_end(GRACE)
        for place in PLACES:
            Path(folder, str(place)).touch()
        yield stopping


def children(own: Services) -> Sequence[Child]:
    """Return the processes."""
    return (own.processes.network.child, own.processes.unix_socket.child)


def begin(stopping: Stop, stack: ExitStack, place: Place, name: str, folder: Path) -> None:
    """Start a call of a tool in a conversation of its own."""
    conversation = stack.enter_context(stopping.own.fresh(place.transport, place.revision))
    path = Path(folder, str(place))
    arguments = {"path": str(path)} if name == "hold_for" else {"key": f"{name} {place}"}
    stopping.calls[name, place] = (conversation, conversation.start_tool(name, arguments))
    if name == "hold_for":
        wait_until(partial(Path(f"{path}.held").exists), f"{name} runs")
    else:
        conversation.text("story", {"key": f"{name} {place}", "until": "held"})


@over(STATELESS, transports=("unix", "websocket", "sse"))
def test_a_subscription_ends_with_its_result_and_then_the_connection(stop: Stop, place: Place) -> None:
    """R40, R68, R105: immediately, since no call runs on that connection."""
    idle = stop.idle[place.transport]
    assert result_of(idle.reply("listening"))["resultType"] == "complete"
    assert not idle.waiting()
    ended_as_it_should(idle)


@over(*FEW, transports=CROWDED)
def test_a_call_that_goes_on_is_answered_and_then_the_connection_ends(stop: Stop, place: Place) -> None:
    """R35, R105."""
    assert result_of(stop.reply("hold_for", place))["content"][0]["text"] == "went on"
    ended_as_it_should(stop.calls["hold_for", place][0])


@over(*FEW, transports=CROWDED)
@pytest.mark.parametrize("name", STUCK)
def test_a_call_that_does_not_end_is_refused_after_a_while_and_then_the_connection_ends(
    stop: Stop, place: Place, name: str
) -> None:
    """R35, R105."""
    error = error_of(stop.reply(name, place))
    assert error["data"]["kind"] == "shutting_down"
    assert "try again" in error["message"]
    ended_as_it_should(stop.calls[name, place][0])


def test_the_processes_end_soon_after_it_with_0(stop: Stop) -> None:
    """R35."""
    assert [child.wait() for child in children(stop.own)] == [0, 0]
    assert monotonic() - stop.began < GRACE + LOADED
    for child in children(stop.own):
        assert "Traceback" not in child.stderr()


def test_clients_that_read_nothing_do_not_hinder_the_end(stop: Stop) -> None:
    """R35."""
    assert [child.wait(STALLED_SECONDS + LOADED) for child in children(stop.stalled)] == [0, 0]
    for child in children(stop.stalled):
        assert "Traceback" not in child.stderr()


def ended_as_it_should(conversation: Conversation) -> None:
    """Wait for the end of a connection and check how the transport signalled it."""
    if not conversation.ordered:
        return  # its connections end with their responses
    assert not conversation.await_end(PATIENCE)
    if isinstance(conversation, WebSocketConversation):
        assert conversation.closed_with is not None
        assert conversation.closed_with.code == SERVICE_RESTART
    if isinstance(conversation, SseConversation):
        assert conversation.complete
