"""The Session aggregate allows exactly the transitions of its table."""

import json
from collections.abc import Callable
from itertools import product

import pytest

from tfo_mcp.domain.errors import InvalidTransition, Kind
from tfo_mcp.domain.events import SessionClosed, SessionCreated, SessionInitialized
from tfo_mcp.domain.ids import new_session_id
from tfo_mcp.domain.interaction import NO_CAPABILITIES, ClientCapabilities
from tfo_mcp.domain.session import TRANSITIONS, Session, SessionState, SessionStep

TAKE: dict[SessionStep, Callable[[Session], None]] = {
    SessionStep.INITIALIZE: lambda session: session.initialize(
        "revision", ClientCapabilities(roots=True), "client", "1.0"
    ),
    SessionStep.CONFIRM: Session.confirm,
    SessionStep.CLOSE: Session.close,
    SessionStep.FINISH: Session.finish,
}
"""The method of each step."""

LIFE = (SessionStep.INITIALIZE, SessionStep.CONFIRM, SessionStep.CLOSE, SessionStep.FINISH)


def session_in(state: SessionState) -> Session:
    """Return a session in a state, without events."""
    return Session(new_session_id(), "owner", "key:owner", state=state)


@pytest.mark.parametrize(("state", "step"), sorted(product(SessionState, SessionStep)))
def test_each_pair_of_state_and_step_does_what_the_table_says(state: SessionState, step: SessionStep) -> None:
    session = session_in(state)
    if (state, step) in TRANSITIONS:
        TAKE[step](session)
        assert session.state is TRANSITIONS[state, step]
    else:
        with pytest.raises(InvalidTransition, match=f"is {state.value}: it cannot {step.value}") as caught:
            TAKE[step](session)
        assert caught.value.kind is Kind.INVALID_REQUEST
        assert session.state is state
        assert session.collect_events() == []


def test_every_state_is_reached_and_only_the_last_one_is_never_left() -> None:
    reached = {SessionState.CREATED, *TRANSITIONS.values()}
    assert reached == set(SessionState)
    assert set(SessionState) - {state for state, _ in TRANSITIONS} == {SessionState.CLOSED}


def test_every_live_state_may_close() -> None:
    for state in (SessionState.CREATED, SessionState.INITIALIZING, SessionState.READY):
        assert TRANSITIONS[state, SessionStep.CLOSE] is SessionState.CLOSING


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[SessionState.CLOSED, SessionStep.CONFIRM] = SessionState.READY  # type: ignore[index]


def test_a_whole_life_tells_of_its_turning_points_in_order() -> None:
    session = session_in(SessionState.CREATED)
    for step in LIFE:
        TAKE[step](session)
    assert session.collect_events() == [
        SessionCreated(session.id, session.version),
        SessionInitialized(session.id),
        SessionClosed(session.id),
    ]
    assert session.collect_events() == []


def test_a_refused_initialization_changes_nothing_of_what_was_agreed_upon() -> None:
    session = session_in(SessionState.CREATED)
    declared = ClientCapabilities(sampling=True)
    session.initialize("first", declared, "one", "1")
    with pytest.raises(InvalidTransition):
        session.initialize("second", NO_CAPABILITIES, "two", "2")
    assert (session.version, session.capabilities, session.client_name) == ("first", declared, "one")


def test_of_a_clients_name_there_is_a_short_and_plain_one() -> None:
    session = session_in(SessionState.CREATED)
    session.initialize("any", NO_CAPABILITIES, "na\x1b\u202eme\n" + "e" * 5000, "1\x85" + "0" * 5000)
    assert session.client_name.startswith("nameeee")
    assert session.client_version.startswith("1000")
    assert (len(session.client_name), len(session.client_version)) == (200, 200)


def test_ids_are_long_and_unlike_each_other() -> None:
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(identifier) == 32 and identifier.isascii() and identifier.isprintable() for identifier in ids)


def test_a_session_is_the_same_after_it_was_a_document() -> None:
    session = session_in(SessionState.CREATED)
    session.initialize("revision", ClientCapabilities(elicitation=True, urls=True), "client", "1.0")
    session.log_level = "debug"
    session.subscriptions |= {"a://b", "note://1"}
    session.collect_events()
    document = json.loads(json.dumps(session.document()))
    assert Session.from_document(document) == session
    assert Session.from_document({**document, "of a later version": 1}) == session


def test_a_document_of_an_earlier_version_has_no_settings_of_extensions() -> None:
    session = session_in(SessionState.CREATED)
    declared = ClientCapabilities(extensions=("a/b",), extension_settings='{"a/b":{"c":1}}')
    session.initialize("revision", declared, "client", "1.0")
    document = session.document()
    assert "extension_settings" not in document["capabilities"]  # which earlier versions read strictly
    assert Session.from_document(document).capabilities == declared
    del document["extension_settings"]
    found = Session.from_document(document).capabilities
    assert found == ClientCapabilities(extensions=("a/b",))
    assert (found.extension("a/b"), found.extension("c/d")) == ({}, None)
    document["capabilities"]["of a later version"] = True
    assert Session.from_document(document).capabilities == found
