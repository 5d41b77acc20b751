"""Change notifications: subscriptions in the stateless era, and notifications of a session."""

import os
from contextlib import ExitStack
from typing import Any

import pytest

from tests.behaviour.conftest import OpenFresh, settings
from tests.behaviour.matrix import CONNECTIONS, CROWDED, Place, over
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.deadlines import wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS, JsonObject, MessageId
from tests.support.http_conversation import HttpConversation
from tests.support.services import Services, services

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
ALL_LISTS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
CHANGED = {
    "tool": "notifications/tools/list_changed",
    "prompt": "notifications/prompts/list_changed",
    "resource": "notifications/resources/list_changed",
}
OWN_FIELD = {"tool": "toolsListChanged", "prompt": "promptsListChanged", "resource": "resourcesListChanged"}


def listen(conversation: Conversation, filter: JsonObject, id: MessageId | None = None) -> MessageId:
    """Open a subscription and return its id after the acknowledgment."""
    identifier = conversation.start("subscriptions/listen", {"notifications": filter}, id=id)
    note = conversation.notification(ACKNOWLEDGED)
    assert tag_of(note) == identifier
    return identifier


def tag_of(note: JsonObject) -> Any:
    """Return the subscription id of a notification."""
    return note["params"]["_meta"][SUBSCRIPTION]


@over(STATELESS)
@pytest.mark.parametrize("identifier", [7, "7", 0, "", "a b"], ids=repr)
def test_notifications_carry_the_id_of_the_listen_request_in_value_and_type(
    conversation: Conversation, identifier: MessageId
) -> None:
    """R65."""
    conversation.start("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=identifier)
    for note in (conversation.notification(ACKNOWLEDGED), changed(conversation, "tool")):
        assert tag_of(note) == identifier
        assert type(tag_of(note)) is type(identifier)
    conversation.cancel(identifier)


def changed(conversation: Conversation, kind: str) -> JsonObject:
    """Change a list and return the notification of that change."""
    conversation.text("appear", {"kind": kind})
    note = conversation.notification(CHANGED[kind])
    conversation.text("vanish", {"kind": kind})
    return note


@over(STATELESS)
@pytest.mark.parametrize(
    ("wanted", "honoured"),
    [
        ({}, {}),
        (ALL_LISTS, ALL_LISTS),
        ({"toolsListChanged": True, "promptsListChanged": False}, {"toolsListChanged": True}),
        ({"tasksListChanged": True, "resourceSubscriptions": ["note://01"]}, {"resourceSubscriptions": ["note://01"]}),
        ({"resourceSubscriptions": ["note://01", "note://02"]}, {"resourceSubscriptions": ["note://01", "note://02"]}),
    ],
    ids=repr,
)
def test_the_acknowledgement_tells_what_is_honoured(
    conversation: Conversation, wanted: JsonObject, honoured: JsonObject
) -> None:
    """R66."""
    identifier = conversation.start("subscriptions/listen", {"notifications": wanted})
    assert conversation.notification(ACKNOWLEDGED)["params"]["notifications"] == honoured
    conversation.cancel(identifier)


@over(STATELESS)
@pytest.mark.parametrize(
    "filter", [None, [], "all", {"toolsListChanged": "yes"}, {"resourceSubscriptions": "note://01"}], ids=repr
)
def test_a_filter_of_a_wrong_shape_is_refused(conversation: Conversation, filter: Any) -> None:
    """R5, R66."""
    params = {} if filter is None else {"notifications": filter}
    conversation.start("subscriptions/listen", params, id="wrong")
    assert error_of(conversation.message())["code"] == -32602


@over(STATELESS)
@pytest.mark.parametrize("kind", CHANGED)
def test_only_lists_that_were_asked_for_are_told_of(conversation: Conversation, kind: str) -> None:
    """R66, R67."""
    identifier = listen(conversation, {OWN_FIELD[kind]: True})
    for other in CHANGED:
        if other != kind:
            conversation.text("appear", {"kind": other})
            conversation.text("vanish", {"kind": other})
    conversation.text("touch", {"uri": "note://01"})
    assert not conversation.settle()
    assert tag_of(changed(conversation, kind)) == identifier
    conversation.cancel(identifier)


@over(STATELESS)
def test_only_resources_that_were_asked_for_are_told_of(conversation: Conversation) -> None:
    """R67."""
    identifier = listen(conversation, {"resourceSubscriptions": ["note://01", "parts://all"]})
    for uri in ("note://02", "note://1", "note://010", "parts://all/more"):
        conversation.text("touch", {"uri": uri})
    assert not conversation.settle()
    for uri in ("note://01", "parts://all"):
        conversation.text("touch", {"uri": uri})
        note = conversation.notification(UPDATED)
        assert note["params"]["uri"] == uri
        assert tag_of(note) == identifier
    conversation.cancel(identifier)


@over(STATELESS)
def test_the_server_ends_subscriptions_with_a_result_when_it_stops(roots: Any, place: Place) -> None:
    """R40, R68."""
    with services(settings(roots)) as own, ExitStack() as stack:
        conversation = stack.enter_context(own.fresh(place.transport, place.revision))
        identifiers = [listen(conversation, ALL_LISTS), listen(conversation, {}, id="second")]
        conversation.child.terminate()
        for identifier in identifiers:
            result = result_of(conversation.reply(identifier))
            assert result["_meta"][SUBSCRIPTION] == identifier
            assert result["resultType"] == "complete"
        assert conversation.child.wait() == 0


@over(STATELESS)
def test_progress_and_logs_are_never_told_to_a_subscription(conversation: Conversation) -> None:
    """R69, R89."""
    params = {"notifications": ALL_LISTS, "_meta": {"progressToken": "listening"}}
    identifier = conversation.start("subscriptions/listen", params, log_level="debug")
    conversation.notification(ACKNOWLEDGED)
    conversation.text("speak")
    conversation.text("progress", {"values": [1, 2]})
    assert not conversation.settle()
    conversation.cancel(identifier)


@over(STATELESS)
def test_several_subscriptions_are_told_each_its_own(conversation: Conversation) -> None:
    """R40, R69."""
    tools = listen(conversation, {"toolsListChanged": True})
    both = listen(conversation, {"toolsListChanged": True, "resourceSubscriptions": ["note://01"]}, id="both")
    conversation.text("touch", {"uri": "note://01"})
    assert tag_of(conversation.notification(UPDATED)) == "both"
    conversation.text("appear", {"kind": "tool"})
    notes = [conversation.notification(CHANGED["tool"]) for _ in range(2)]
    assert {tag_of(note) for note in notes} == {tools, "both"}
    conversation.cancel(both)
    conversation.settle()
    conversation.text("vanish", {"kind": "tool"})
    assert tag_of(conversation.notification(CHANGED["tool"])) == tools
    conversation.cancel(tools)


@over(STATELESS)
def test_a_cancelled_subscription_is_silent(conversation: Conversation) -> None:
    """R39, R69."""
    identifier = listen(conversation, ALL_LISTS)
    conversation.cancel(identifier)
    conversation.settle()
    conversation.text("appear", {"kind": "tool"})
    conversation.text("vanish", {"kind": "tool"})
    assert not conversation.settle()


@over(STATELESS, transports=CONNECTIONS)
def test_a_thousand_subscriptions_leave_nothing_behind_on_a_shared_channel(conversation: Conversation) -> None:
    """R69: an id can be reused only after its subscription was removed."""
    for _ in range(1000):
        conversation.cancel(listen(conversation, ALL_LISTS, id="again"))
        conversation.settle()
    conversation.text("appear", {"kind": "tool"})
    conversation.text("vanish", {"kind": "tool"})
    assert not conversation.settle()


@over(STATELESS, transports=("http",))
def test_a_thousand_subscriptions_leave_nothing_behind_when_clients_hang_up(conversation: HttpConversation) -> None:
    """R69: neither open connections nor listeners remain."""
    conversation.settle()
    descriptors = f"/proc/{conversation.server.child.pid}/fd"
    before = len(os.listdir(descriptors))
    for _ in range(1000):
        conversation.cancel(listen(conversation, ALL_LISTS))
    wait_until(lambda: len(os.listdir(descriptors)) <= before + 1, "the server has closed the connections")
    conversation.text("appear", {"kind": "tool"})
    conversation.text("vanish", {"kind": "tool"})
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("kind", CHANGED)
def test_a_session_is_told_of_every_changed_list(conversation: Conversation, kind: str) -> None:
    """R70."""
    conversation.attend()
    conversation.settle()  # earlier changes of other tests have been announced
    conversation.forget()
    assert set(changed(conversation, kind).get("params") or {}) <= {"_meta"}
    conversation.notification(CHANGED[kind])
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS, transports=CROWDED)
def test_every_session_is_told_once(open_fresh: OpenFresh) -> None:
    """R50, R70."""
    with open_fresh() as one, open_fresh() as other:
        for session in (one, other):
            session.attend()
        one.text("appear", {"kind": "prompt"})
        for session in (one, other):
            session.notification(CHANGED["prompt"])
        one.text("vanish", {"kind": "prompt"})
        for session in (one, other):
            session.notification(CHANGED["prompt"])
            assert not session.settle()


@over(*HANDSHAKE_REVISIONS)
def test_a_session_is_told_of_resources_that_it_subscribed_to(conversation: Conversation) -> None:
    """R71."""
    conversation.attend()
    for uri in ("note://03", "weather://fr/Paris"):
        assert conversation.result("resources/subscribe", {"uri": uri}) == {}
    conversation.text("touch", {"uri": "note://04"})
    assert not conversation.settle()
    for uri in ("note://03", "weather://fr/Paris"):
        conversation.text("touch", {"uri": uri})
        assert conversation.notification(UPDATED)["params"] == {"uri": uri}
        assert conversation.result("resources/unsubscribe", {"uri": uri}) == {}
        conversation.text("touch", {"uri": uri})
    assert not conversation.settle()


@over(*HANDSHAKE_REVISIONS)
def test_subscribing_to_what_is_not_there_is_an_error(conversation: Conversation) -> None:
    """R71, R84."""
    assert conversation.error("resources/subscribe", {"uri": "no://such"})["code"] == -32002
    assert conversation.error("resources/subscribe", {})["code"] == -32602
    assert conversation.result("resources/unsubscribe", {"uri": "note://05"}) == {}


@over(LATEST_HANDSHAKE, transports=("http",))
def test_the_end_of_a_session_ends_its_subscriptions(usual: Services, place: Place) -> None:
    """R71."""
    with usual.fresh(place.transport, place.revision) as ending, usual.fresh(place.transport, place.revision) as other:
        assert isinstance(ending, HttpConversation)
        for session in (ending, other):
            session.attend()
            session.result("resources/subscribe", {"uri": "note://06"})
        ending.end_session()
        other.text("touch", {"uri": "note://06"})
        other.notification(UPDATED)
        assert not ending.waiting()
        assert ending.status() == 204


@over(*HANDSHAKE_REVISIONS)
def test_changed_roots_are_taken_note_of_silently(conversation: Conversation) -> None:
    """R72: without `files.roots: client`, the server requests roots only when a tool needs them."""
    conversation.notify("notifications/roots/list_changed")
    assert not conversation.settle()
    identifier = conversation.start_tool("ask_roots")
    conversation.answer(conversation.server_request("roots/list"), {"roots": [{"uri": "file:///new", "name": "new"}]})
    assert result_of(conversation.reply(identifier))["content"][0]["text"] == "new=file:///new"
