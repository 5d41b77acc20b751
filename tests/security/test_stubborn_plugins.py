"""Cancellation of plugins: functions that ignore it are answered, and do not keep the server from its end."""

import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support.conversations import error_of
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.services import TRANSPORTS, Services, services
from tfo_mcp.application.context import CANCEL_GRACE_SECONDS

ENDLESS_SECONDS = 20.0
CALL_SECONDS = 1.0
SETTINGS: dict[str, Any] = {
    "mcp": {"plugins": ["tests.support.plugins.failing"]},
    "security": {"anonymous": "all"},
    "logging": {"format": "json"},
}


@pytest.fixture(scope="module")
def hasty() -> Iterator[Services]:
    with services({**SETTINGS, "mcp": {**SETTINGS["mcp"], "call_timeout_seconds": CALL_SECONDS}}) as running:
        yield running


@pytest.mark.parametrize("era", [LATEST_HANDSHAKE, STATELESS])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_functions_that_go_on_when_their_time_is_over_are_answered(hasty: Services, transport: str, era: str) -> None:
    conversation = hasty.shared(transport, era)
    calls = [
        conversation.start_tool("stubborn", {"kind": "once"}),
        conversation.start_tool("stubborn", {"kind": "always"}),
        conversation.start_tool("stubborn_thread"),
    ]
    for call in calls:
        assert error_of(conversation.reply(call, ENDLESS_SECONDS))["data"]["kind"] == "timeout"
    assert conversation.text("echo", {"message": "still here"}) == "still here"


@pytest.mark.parametrize("era", [LATEST_HANDSHAKE, STATELESS])
def test_time_limits_of_a_function_itself_are_no_cancellation_of_its_call(era: str) -> None:
    with services(SETTINGS) as own, own.fresh("stdio", era) as conversation:
        calls = [
            conversation.start_tool("slow_after_timeout", {"seconds": CANCEL_GRACE_SECONDS + 0.2}),
            conversation.start_tool("impatient", {"times": 1}),
            conversation.start_tool("impatient", {"times": 250}),
        ]
        for call in calls:
            result = conversation.reply(call, ENDLESS_SECONDS)["result"]
            assert (result["isError"], result["content"][0]["text"]) == (False, "waited")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", ["stubborn", "stubborn_thread"])
def test_one_that_goes_on_does_not_keep_the_server_from_its_end(transport: str, name: str) -> None:
    settings = {**SETTINGS, "server": {"drain_seconds": 1.0}}
    with services(settings) as own, own.fresh(transport, LATEST_HANDSHAKE) as conversation:
        conversation.start_tool(name, {"kind": "always"} if name == "stubborn" else {})
        conversation.text("echo", {"message": "running"})
        conversation.child.process.send_signal(signal.SIGTERM)
        assert conversation.child.wait(ENDLESS_SECONDS) == 0
        with suppress(OSError):
            conversation.close()
