"""A WebSocket transport for the official Python client, which has none: one message per text frame, subprotocol `mcp`.

It implements the transport interface of the `mcp` package, a pair of streams. Knows neither era nor revision.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.deadlines import PATIENCE

Incoming = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]


@asynccontextmanager
async def websocket_client(url: str) -> AsyncIterator[Streams]:
    """Connect for the duration of the block, and yield the streams of the connection."""
    arriving, incoming = anyio.create_memory_object_stream[Incoming]()
    outgoing, leaving = anyio.create_memory_object_stream[SessionMessage]()
    async with (
        connect(url, subprotocols=[Subprotocol("mcp")], proxy=None, open_timeout=PATIENCE) as socket,
        arriving,
        incoming,
        outgoing,
        leaving,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_receive, socket, arriving)
        tasks.start_soon(_send, socket, leaving)
        yield incoming, outgoing
        tasks.cancel_scope.cancel()


async def _receive(socket: ClientConnection, arriving: MemoryObjectSendStream[Incoming]) -> None:
    async with arriving:
        async for frame in socket:
            await arriving.send(SessionMessage(jsonrpc_message_adapter.validate_json(frame, by_name=False)))


async def _send(socket: ClientConnection, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async for message in leaving:
        await socket.send(message.message.model_dump_json(by_alias=True, exclude_unset=True))
