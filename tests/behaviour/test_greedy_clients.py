"""Greedy clients: calls wait while their client does not read, and while too many others run."""

import json
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.behaviour.conftest import settings
from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject
from tests.support.services import Services, services
from tests.support.stalled_clients import STALLED, stateless

ASKED = 400
AT_ONCE = 32  # calls of one client that run at once
BUFFERED = 16  # further results that fit into buffers on the way to the client
LARGE: JsonObject = {"name": "long_text", "arguments": {"length": 1_000_000}}


@pytest.fixture(scope="module")
def own(roots: Path) -> Iterator[Services]:
    """Servers that only this module uses."""
    with services(settings(roots)) as serving:
        yield serving


def framed(transport: str, number: int) -> bytes:
    """Return a call as a frame of that transport."""
    text = json.dumps({**stateless(LARGE), "id": number}).encode()
    if transport == "unix":
        return text + b"\n"
    return struct.pack("!BBH4x", 0x81, 0x80 | 126, len(text)) + text


def executed(neighbour: Conversation) -> int:
    """Return the number of tool calls that the process has executed."""
    contents = neighbour.result("resources/read", {"uri": "status://health"})["contents"]
    return int(json.loads(contents[0]["text"])["calls"])


@pytest.mark.parametrize("transport", ["unix", "websocket"])
def test_calls_wait_while_their_client_does_not_read(own: Services, transport: str) -> None:
    with own.fresh(transport, LATEST_HANDSHAKE) as neighbour:
        before = executed(neighbour)
        with closing(STALLED[transport](own.processes, LARGE)) as client:
            client.send(b"".join(framed(transport, number) for number in range(2, ASKED)))
            wait_until(lambda: executed(neighbour) - before > BUFFERED // 4, "some calls have been executed")
            for _ in range(ASKED):
                neighbour.result("ping")
            assert executed(neighbour) - before <= AT_ONCE + BUFFERED


@pytest.mark.parametrize("transport", ["stdio", "unix", "http", "websocket", "sse"])
def test_calls_beyond_what_runs_at_once_wait_for_their_turn_and_can_be_cancelled(own: Services, transport: str) -> None:
    with own.fresh(transport, LATEST_HANDSHAKE) as conversation:
        key = f"turns over {transport}"
        held = [conversation.start_tool("hold", {"key": key}) for _ in range(AT_ONCE)]
        waiting = [conversation.start_tool("echo", {"message": "waited"}) for _ in range(2)]
        assert not [message for message in conversation.settle() if "result" in message]
        conversation.notify("notifications/cancelled", {"requestId": waiting[0]})
        conversation.settle()
        conversation.notify("notifications/cancelled", {"requestId": held[0]})
        assert conversation.reply(waiting[1])["result"]["content"][0]["text"] == "waited"
        for call in held[1:]:
            conversation.notify("notifications/cancelled", {"requestId": call})
        conversation.result("ping")
        assert not [message for message in conversation.waiting() if message.get("id") == waiting[0]]
