"""A client on the `websockets` package without an SDK: JSON in text frames, replies matched by their ids.

Owns the frames and the matching of replies. Knows the opening messages of an MCP client; asserts nothing.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.deployment import REVISIONS, Deployment, Era, Transport
from tests.e2e.visits import ERAS, Call, Mode, Result, Visit, Watcher, era_of, errand_at
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import JsonObject, initialize_params, notification, request, stateless_params


class WebSocketClient:
    """One connection; a caller reads messages itself until its replies have arrived."""

    def __init__(self, socket: ClientConnection, era: Era) -> None:
        self.socket = socket
        self.notices: list[JsonObject] = []
        self._era = era
        self._ids = count(1)
        self._answers: dict[int, JsonObject] = {}

    async def send(self, message: JsonObject) -> None:
        """Send a message."""
        await self.socket.send(json.dumps(message))

    async def start(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Send a request and return its id."""
        identifier = next(self._ids)
        await self.send(request(identifier, method, params if self._era == "handshake" else stateless_params(params)))
        return identifier

    async def answers(self, *identifiers: int) -> list[JsonObject]:
        """Return the replies to these requests, whatever the order of their arrival."""
        with anyio.fail_after(PATIENCE):
            while not self._answers.keys() >= set(identifiers):
                await self.read()
        return [self._answers.pop(identifier) for identifier in identifiers]

    async def read(self) -> JsonObject:
        """Read one message, store it as a notice or a reply, and return it."""
        message: JsonObject = json.loads(await self.socket.recv(decode=True))
        if "method" in message:
            self.notices.append(message)
        else:
            self._answers[message["id"]] = message
        return message

    async def result(self, method: str, params: Mapping[str, Any] | None = None) -> JsonObject:
        """Send a request and return its result."""
        (answer,) = await self.answers(await self.start(method, params))
        result: JsonObject = answer["result"]
        return result

    async def call(self, call: Call) -> Result:
        """Call a tool and return the result."""
        return await self.result("tools/call", call._asdict())

    async def handshake(self) -> JsonObject:
        """Perform the handshake and return the result of `initialize`."""
        agreed = await self.result("initialize", initialize_params(REVISIONS["handshake"]))
        await self.send(notification("notifications/initialized"))
        return agreed


@asynccontextmanager
async def websocket_client(deployment: Deployment, era: Era) -> AsyncIterator[WebSocketClient]:
    """Yield a connected client that has sent no message yet."""
    url, protocols = deployment.url("websocket"), [Subprotocol("mcp")]
    async with connect(url, subprotocols=protocols, proxy=None, open_timeout=PATIENCE) as socket:
        assert socket.subprotocol == "mcp"
        yield WebSocketClient(socket, era)


def visit_with_websockets(deployment: Deployment, transport: Transport, mode: Mode) -> Visit:
    """Run the errand over a plain WebSocket."""
    assert transport == "websocket"
    return anyio.run(_visit, deployment, ERAS[mode])


async def _visit(deployment: Deployment, era: Era) -> Visit:
    errand = errand_at(deployment)
    watcher = Watcher(errand)
    async with websocket_client(deployment, era) as client:
        revision = await _agree(client, era)
        tools = [tool["name"] for tool in (await client.result("tools/list"))["tools"]]
        results = {key: await client.call(call) for key, call in errand.calls.items()}
        results["watched"] = await _watch(client, errand.watched, watcher)
        return Visit(era_of(revision), frozenset(tools), results, watcher.seen)


async def _agree(client: WebSocketClient, era: Era) -> str:
    if era == "handshake":
        return str((await client.handshake())["protocolVersion"])
    supported: Sequence[str] = (await client.result("server/discover"))["supportedVersions"]
    return supported[0]


async def _watch(client: WebSocketClient, call: Call, watcher: Watcher) -> Result:
    identifier = await client.start("tools/call", {**call._asdict(), "_meta": {"progressToken": "watched"}})
    with anyio.fail_after(PATIENCE):
        while "method" in (message := await client.read()):
            report = message["params"]
            assert (message["method"], report["progressToken"]) == ("notifications/progress", "watched")
            await watcher.on_progress(report["progress"], report["total"], report["message"])
    (answer,) = await client.answers(identifier)
    result: Result = answer["result"]
    return result
