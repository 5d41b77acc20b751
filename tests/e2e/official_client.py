"""The official Python client, connected to the installed command over every transport and in either era.

Owns the construction of clients and the record of what they receive besides results. Uses only the public API of the
`mcp` package, like a host; the package has no WebSocket transport, which is in `websocket_transport`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx2
from mcp.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, LoggingMessageNotificationParams, TextContent

from tests.e2e.deployment import Deployment, Era, Transport
from tests.e2e.websocket_transport import websocket_client
from tests.support.deadlines import PATIENCE, wait_until

T = TypeVar("T")

SLOWEST = 3 * PATIENCE  # seconds; the first call of a model imports its SDK, three thousand modules
MODES: Mapping[Era, str] = {"handshake": "legacy", "stateless": "auto"}  # the client prefers the stateless era


class Heard:
    """Records what a client receives besides the results of its requests."""

    def __init__(self) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.logs: list[LoggingMessageNotificationParams] = []
        self.messages: list[IncomingMessage] = []
        self.listening = anyio.Event()
        self._news = anyio.Event()

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Record a progress notification."""
        self.progress.append((progress, total, message))
        self._wake()

    async def on_log(self, params: LoggingMessageNotificationParams) -> None:
        """Record a log message."""
        self.logs.append(params)
        self._wake()

    async def on_message(self, message: IncomingMessage) -> None:
        """Record any other message."""
        self.messages.append(message)
        self._wake()

    async def on_response(self, response: httpx2.Response) -> None:
        """Detect the response to the GET that opens the session's standalone stream."""
        if response.request.method == "GET":
            self.listening.set()

    async def until(self, condition: Callable[[], T]) -> T:
        """Return the first true value of `condition`, which is checked after each received message."""
        with anyio.fail_after(PATIENCE):
            while not (value := condition()):
                await self._news.wait()
        return value

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@dataclass(frozen=True)
class Connector:
    """Creates clients of one deployment; over stdio each has its own server process, on the network all share one."""

    deployment: Deployment
    transport: Transport
    era: Era

    @property
    def root(self) -> Path:
        """The server's root directory."""
        return self.deployment.root

    def folder(self) -> str:
        """Return the name of a new, empty directory in the server's root."""
        return self.deployment.folder(f"{self.transport}-{self.era}").name

    @asynccontextmanager
    async def client(self, heard: Heard | None = None, **options: Any) -> AsyncIterator[Client]:
        """Yield a connected client; `options` are passed to its constructor."""
        ears = heard or Heard()
        async with (
            self._opened(ears) as transport,
            Client(
                transport,
                mode=MODES[self.era],
                read_timeout_seconds=SLOWEST,
                message_handler=ears.on_message,
                logging_callback=ears.on_log,
                **options,
            ) as client,
        ):
            if self.transport == "http" and self.era == "handshake":
                with anyio.fail_after(PATIENCE):
                    await ears.listening.wait()
            yield client

    def _opened(self, ears: Heard) -> AbstractAsyncContextManager[Any]:
        if self.transport == "stdio":
            return self._stdio()
        return self._http(ears) if self.transport == "http" else self._streaming()

    @asynccontextmanager
    async def _stdio(self) -> AsyncIterator[Any]:
        executable, *arguments = self.deployment.stdio_line
        parameters = StdioServerParameters(
            command=executable, args=arguments, env=self.deployment.stdio_variables, cwd=self.root
        )
        with (self.root / "stderr").open("a", encoding="utf-8") as errors:
            yield stdio_client(parameters, errlog=errors)

    @asynccontextmanager
    async def _http(self, ears: Heard) -> AsyncIterator[Any]:
        async with loopback_client(ears) as http_client:
            yield streamable_http_client(self.deployment.url("http"), http_client=http_client)

    @asynccontextmanager
    async def _streaming(self) -> AsyncIterator[Any]:
        url = self.deployment.url(self.transport)
        yield sse_client(url, httpx_client_factory=direct_client) if self.transport == "sse" else websocket_client(url)


def direct_client(
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | float | None = None,
    auth: httpx2.Auth | None = None,
    **options: Any,
) -> httpx2.AsyncClient:
    """Return an HTTP client that uses no proxy; MCP clients take this function as their factory."""
    return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, trust_env=False, **options)


@asynccontextmanager
async def loopback_client(ears: Heard | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield an HTTP client for the official client, without proxies and with a timeout for every wait."""
    hooks = {"response": [ears.on_response]} if ears is not None else {}
    async with direct_client(timeout=2 * PATIENCE, event_hooks=hooks) as http_client:
        yield http_client


async def eventually(condition: Callable[[], T], what: str) -> T:
    """Poll a condition in a thread, without blocking the event loop."""
    return await anyio.to_thread.run_sync(wait_until, condition, what)


def text_of(result: CallToolResult) -> str:
    """Return the text of a result that consists of one text block."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def structured(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a successful result."""
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content
