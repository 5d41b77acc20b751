"""The test bridge: ids, disconnects and session streams, which the conformance suite does not check."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.conformance.bridge import Bridge, bridge_to
from tests.conformance.multiplexer import SUBSCRIPTION
from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.http_client import HttpClient, http_client
from tests.support.services import services
from tests.support.streamable_http import CONFIGURATION, Gates, call_of, call_tool, new_key, text_of


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    with services(CONFIGURATION) as serving, bridge_to(partial(serving.connect, "stdio")) as bridge:
        yield bridge


@pytest.fixture
def client(bridge: Bridge) -> Iterator[HttpClient]:
    with http_client(bridge.url) as client:
        yield client


@pytest.fixture
def gates(bridge: Bridge) -> Iterator[Gates]:
    with http_client(bridge.url) as client:
        yield Gates(client)


def test_hanging_up_in_the_stateless_era_cancels_the_call(client: HttpClient, gates: Gates) -> None:
    key = new_key()
    message, headers = client.stateless_request("tools/call", call_of("hold", key=key, aloud=True), log_level="info")
    with client.stream("POST", message, headers) as stream:
        assert stream.next_message()["params"]["data"] == f"{key} waits"
    gates.await_state(key, "cancelled")


def test_the_same_id_of_two_clients_means_two_requests(client: HttpClient, gates: Gates) -> None:
    keys = first, second = new_key(), new_key()
    calls = [call_of("hold", key=key, aloud=True) for key in keys]
    messages = [request(1, "tools/call", stateless_params(call, log_level="info")) for call in calls]
    with (
        client.stream("POST", messages[0], stateless_headers(messages[0])) as one,
        client.stream("POST", messages[1], stateless_headers(messages[1])) as other,
    ):
        gates.await_state(second, "waiting")
        gates.open(second)
        assert text_of(other.reply(1)["result"]) == f"held {second}"
        gates.open(first)
        assert text_of(one.reply(1)["result"]) == f"held {first}"


@pytest.mark.parametrize("identifier", [7, "7"], ids=["number", "text"])
def test_a_subscription_has_the_id_that_its_client_gave_it(client: HttpClient, identifier: int | str) -> None:
    params = stateless_params({"notifications": {"toolsListChanged": True}})
    message = request(identifier, "subscriptions/listen", params)
    with client.stream("POST", message, stateless_headers(message)) as stream:
        assert stream.next_message()["params"]["_meta"] == {SUBSCRIPTION: identifier}
        client.call_stateless("tools/call", call_of("change_tools"))
        assert stream.next_message()["params"]["_meta"] == {SUBSCRIPTION: identifier}


def test_a_change_is_told_on_the_stream_of_the_session(client: HttpClient) -> None:
    session = client.handshake()
    with session.listen() as stream:
        assert not call_tool(session, "change_tools").streamed
        assert stream.next_message()["method"] == "notifications/tools/list_changed"
    assert session.delete().status == 204
    assert session.call("tools/list").status == 404
