"""Session limits: the number of sessions per caller and per server, and the idle timeout.

A session with an open connection is not idle. A session of Streamable HTTP is idle without a request and without a
stream; `test_streamable_http_sessions` covers that in detail.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import CONNECTIONS, CROWDED, NETWORK, Place, over
from tests.support.conversations import Conversation, error_of
from tests.support.deadlines import wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS, JsonObject, initialize_params
from tests.support.http_conversation import HttpConversation
from tests.support.services import Services, services

MOST = 2
IDLE = 0.8  # seconds
ENDS = (HANDSHAKE_REVISIONS[0], LATEST_HANDSHAKE)


@pytest.fixture(scope="module")
def capped(roots: Path) -> Iterator[Services]:
    """Servers with a small limit of sessions per caller."""
    with services(settings(roots, max_sessions_per_caller=MOST)) as running:
        yield running


@pytest.fixture(scope="module")
def full(roots: Path) -> Iterator[Services]:
    """Servers with a small limit of sessions of all callers together."""
    with services(settings(roots, max_sessions=MOST)) as running:
        yield running


def refused(conversation: Conversation) -> JsonObject:
    """Send `initialize` and return the error."""
    identifier = conversation.start("initialize", initialize_params(conversation.revision), bare=True)
    return error_of(conversation.reply(identifier))


def opens(conversation: Conversation) -> bool:
    """Try to open a session and return whether the limit allowed it."""
    identifier = conversation.start("initialize", initialize_params(conversation.revision), bare=True)
    return "result" in conversation.reply(identifier)


def as_many_as_allowed(stack: ExitStack, running: Services, place: Place) -> list[Conversation]:
    """Open sessions up to the limit; sessions of earlier tests may have to end first."""
    opened = [stack.enter_context(running.connect(place.transport, place.revision)) for _ in range(MOST)]
    for conversation in opened:
        wait_until(partial(opens, conversation), "there is room")
        conversation.notify("notifications/initialized")
        conversation.attend()  # a session with an open stream is not idle
    return opened


@over(*ENDS, transports=CROWDED)
def test_a_caller_with_too_many_sessions_is_refused_until_one_has_ended(capped: Services, place: Place) -> None:
    """The refused connection may retry."""
    with ExitStack() as stack:
        first, *_ = as_many_as_allowed(stack, capped, place)
        late = stack.enter_context(capped.connect(place.transport, place.revision))
        error = refused(late)
        assert "mcp.max_sessions_per_caller" in error["message"]
        assert str(MOST) in error["message"]
        assert error["data"]["kind"] == "too_many_sessions"
        if isinstance(late, HttpConversation):
            assert late.status(1) == 429
        first.close()
        wait_until(lambda: opens(late), "there is room")
        late.notify("notifications/initialized")
        late.result("tools/list")


@over(*ENDS, transports=CROWDED)
def test_a_session_that_was_shut_down_makes_room(capped: Services, place: Place) -> None:
    with ExitStack() as stack:
        first, *_ = as_many_as_allowed(stack, capped, place)
        late = stack.enter_context(capped.connect(place.transport, place.revision))
        refused(late)
        assert first.result("shutdown") == {}
        wait_until(lambda: opens(late), "there is room")


@over(*ENDS, transports=CROWDED)
def test_the_server_refuses_sessions_when_it_has_too_many(full: Services, place: Place) -> None:
    with ExitStack() as stack:
        first, *_ = as_many_as_allowed(stack, full, place)
        late = stack.enter_context(full.connect(place.transport, place.revision))
        error = refused(late)
        assert "(setting mcp.max_sessions)" in error["message"]
        assert error["data"]["kind"] == "sessions_exhausted"
        if isinstance(late, HttpConversation):
            assert late.status(1) == 503
        first.close()
        wait_until(lambda: opens(late), "there is room")


def test_one_more_session_over_http_ends_the_longest_idle_one(capped: Services) -> None:
    """A client that abandons sessions can open new ones, and its other sessions stay usable."""
    with ExitStack() as stack:
        first, second, late = (stack.enter_context(capped.connect("http", LATEST_HANDSHAKE)) for _ in range(3))
        for conversation in (first, second):
            wait_until(partial(opens, conversation), "there is room")
            conversation.notify("notifications/initialized")
        first.result("ping")
        assert opens(late)
        late.notify("notifications/initialized")
        assert error_of(second.call("ping"))["data"]["kind"] == "session_not_found"
        for conversation in (first, late):
            conversation.result("ping")


def test_a_session_whose_call_runs_is_not_idle(capped: Services) -> None:
    with ExitStack() as stack:
        first, second, late = (stack.enter_context(capped.connect("http", LATEST_HANDSHAKE)) for _ in range(3))
        for conversation in (first, second):
            wait_until(partial(opens, conversation), "there is room")
            conversation.notify("notifications/initialized")
        running = first.start("tools/call", {"name": "hold", "arguments": {"key": "idle"}})
        assert second.text("story", {"key": "idle", "until": "held"}) == "held"
        assert opens(late)
        late.notify("notifications/initialized")
        assert late.text("open_gate", {"key": "idle"})
        assert first.reply(running)["result"]


def test_callers_without_credentials_of_one_address_count_as_one_client(capped: Services) -> None:
    with ExitStack() as stack:
        for transport in ("websocket", "sse"):
            wait_until(
                partial(opens, stack.enter_context(capped.connect(transport, LATEST_HANDSHAKE))), "there is room"
            )
        for transport in NETWORK:
            late = stack.enter_context(capped.connect(transport, LATEST_HANDSHAKE))
            assert "mcp.max_sessions_per_caller" in refused(late)["message"]


def test_the_error_is_the_same_over_every_transport(capped: Services) -> None:
    errors = []
    for transport in CROWDED:
        with ExitStack() as stack:
            as_many_as_allowed(stack, capped, Place(transport, LATEST_HANDSHAKE))
            errors.append(refused(stack.enter_context(capped.connect(transport, LATEST_HANDSHAKE))))
    assert errors == [errors[0]] * len(CROWDED)
    assert not -32768 <= errors[0]["code"] <= -32000


@over(STATELESS, transports=CROWDED)
def test_the_stateless_era_needs_no_room(capped: Services, place: Place) -> None:
    with ExitStack() as stack:
        as_many_as_allowed(stack, capped, Place(place.transport, LATEST_HANDSHAKE))
        for _ in range(MOST + 1):
            conversation = stack.enter_context(capped.fresh(place.transport, STATELESS))
            assert conversation.text("echo", {"message": "hi"}) == "hi"


@pytest.fixture(scope="module")
def outlasting(roots: Path) -> Iterator[dict[str, Conversation]]:
    """Conversations on open connections that stayed silent while an idle HTTP session expired."""
    with services(settings(roots, session_idle_seconds=IDLE)) as running, ExitStack() as stack:
        standing = {
            transport: stack.enter_context(running.fresh(transport, LATEST_HANDSHAKE)) for transport in CONNECTIONS
        }
        idle = standing["http"] = stack.enter_context(running.fresh("http", LATEST_HANDSHAKE))
        idle.result("ping")
        server = running.processes.network
        assert server.sessions() == len(NETWORK)
        wait_until(lambda: server.sessions() < len(NETWORK), "the idle session has ended")
        yield standing


def test_an_idle_session_over_http_has_ended(outlasting: dict[str, Conversation]) -> None:
    """R54."""
    idle = outlasting["http"]
    assert isinstance(idle, HttpConversation)
    error_of(idle.call("ping", id="late"))
    assert idle.status("late") == 404


@pytest.mark.parametrize("transport", CONNECTIONS)
def test_a_session_does_not_end_while_its_connection_stands(
    outlasting: dict[str, Conversation], transport: str
) -> None:
    assert outlasting[transport].result("tools/list")["tools"]
    assert outlasting[transport].text("needs_sampling") == "There is a model"
