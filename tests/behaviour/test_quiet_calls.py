"""Long calls that report nothing: clients that wait for progress learn that they still run."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.behaviour.matrix import FEW
from tests.support.conversations import Conversation, result_of
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.services import Services

QUIET_SECONDS = 10
PROGRESS = "notifications/progress"
PLACES = [*itertools.product(("http", "websocket", "unix"), FEW), ("sse", LATEST_HANDSHAKE), ("stdio", STATELESS)]


@pytest.fixture
def conversations(usual: Services) -> Iterator[list[Conversation]]:
    with ExitStack() as stack:
        yield [stack.enter_context(usual.fresh(*place)) for place in PLACES]


def test_quiet_calls_report_that_they_run_on_every_transport(conversations: list[Conversation]) -> None:
    calls = [
        conversation.start_tool("hold", {"key": f"quiet-{number}"}, meta={"progressToken": "mine"})
        for number, conversation in enumerate(conversations)
    ]
    silent = conversations[0].start_tool("hold", {"key": "no token"})
    for conversation in conversations:
        params = conversation.notification(PROGRESS, 3 * QUIET_SECONDS)["params"]
        assert params["progressToken"] == "mine"
        assert 0 < params["progress"] < 1
        assert params["message"].startswith("Running for 1")
    for number, (conversation, call) in enumerate(zip(conversations, calls, strict=True)):
        conversation.text("open_gate", {"key": f"quiet-{number}"})
        assert result_of(conversation.reply(call))["content"][0]["text"] == f"quiet-{number} was opened"
        assert not conversation.waiting_notifications(PROGRESS)
    conversations[0].text("open_gate", {"key": "no token"})
    conversations[0].reply(silent)
