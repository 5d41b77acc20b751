"""One WebSocket carries several concurrent calls, and cancels them when it closes, in either era."""

from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment, Era
from tests.e2e.official_client import eventually
from tests.e2e.visits import Call
from tests.e2e.websockets_client import WebSocketClient, websocket_client

MANY = 30

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ["handshake", "stateless"])]


async def start_waiting(client: WebSocketClient, folder: Path, era: Era) -> int:
    """Start a tool that waits in `folder`, and return the id of the call."""
    if era == "handshake":
        await client.handshake()
    identifier = await client.start("tools/call", Call("wait_here", {"folder": folder.name})._asdict())
    await eventually((folder / "started").exists, "the tool has started")
    return identifier


async def test_calls_run_at_once_and_are_answered_by_their_ids(deployment: Deployment, era: Era) -> None:
    folder = deployment.folder("websockets")
    async with websocket_client(deployment, era) as client:
        waiting = await start_waiting(client, folder, era)
        echoes = [await client.start("tools/call", Call("echo", {"message": str(n)})._asdict()) for n in range(MANY)]
        answers = await client.answers(*echoes)
        assert [answer["result"]["content"][0]["text"] for answer in answers] == list(map(str, range(MANY)))
        (folder / "go").touch()
        (waited,) = await client.answers(waiting)
        assert waited["result"]["content"][0]["text"] == "went on"


async def test_closing_the_connection_cancels_what_runs(deployment: Deployment, era: Era) -> None:
    folder = deployment.folder("websockets")
    async with websocket_client(deployment, era) as client:
        await start_waiting(client, folder, era)
    await eventually((folder / "cancelled").exists, "the tool was cancelled")
