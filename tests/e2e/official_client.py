"""The official Python client, connected to the installed command over either transport and in either era.

Owns how a client of the test is made and what it has heard beside results. Everything goes through the public API of
the `mcp` package, as a host would use it.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
import httpx2
from mcp.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, LoggingMessageNotificationParams, TextContent

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import command, environment, http_server

TALKATIVE = Path(__file__).with_name("talkative.yaml")

Transport = Literal["stdio", "http"]
Era = Literal["handshake", "stateless"]
T = TypeVar("T")

MODES: Mapping[Era, str] = {"handshake": "legacy", "stateless": "auto"}  # the client prefers the stateless era
VERSIONS: Mapping[Era, str] = {"handshake": "2025-11-25", "stateless": "2026-07-28"}


class Heard:
    """What has reached a client beside the results of its requests."""

    def __init__(self) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.logs: list[LoggingMessageNotificationParams] = []
        self.messages: list[IncomingMessage] = []
        self.listening = anyio.Event()
        self._news = anyio.Event()

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Keep a report of progress."""
        self.progress.append((progress, total, message))
        self._wake()

    async def on_log(self, params: LoggingMessageNotificationParams) -> None:
        """Keep a log message."""
        self.logs.append(params)
        self._wake()

    async def on_message(self, message: IncomingMessage) -> None:
        """Keep a notification."""
        self.messages.append(message)
        self._wake()

    async def on_response(self, response: httpx2.Response) -> None:
        """See the answer to the GET that opens the session's own stream."""
        if response.request.method == "GET":
            self.listening.set()

    async def until(self, condition: Callable[[], T]) -> T:
        """Return the first true value of `condition`, looked at whenever something comes."""
        with anyio.fail_after(PATIENCE):
            while not (value := condition()):
                await self._news.wait()
        return value

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@dataclass(frozen=True)
class Connector:
    """Makes clients of one server: over stdio each has a process of its own, over HTTP they share one."""

    transport: Transport
    era: Era
    root: Path
    url: str
    variables: Mapping[str, str]
    _folders: Iterator[int] = field(default_factory=count)

    def folder(self) -> str:
        """Return the name of a new, empty directory in the server's root."""
        path = self.root / f"{self.transport}-{self.era}-{next(self._folders)}"
        path.mkdir()
        return path.name

    @asynccontextmanager
    async def client(self, heard: Heard | None = None, **options: Any) -> AsyncIterator[Client]:
        """Yield a client that is connected; `options` are the client's own."""
        ears = heard or Heard()
        opened = self._stdio() if self.transport == "stdio" else self._http(ears)
        async with (
            opened as transport,
            Client(
                transport,
                mode=MODES[self.era],
                read_timeout_seconds=PATIENCE,
                message_handler=ears.on_message,
                logging_callback=ears.on_log,
                **options,
            ) as client,
        ):
            if self.transport == "http" and self.era == "handshake":
                with anyio.fail_after(PATIENCE):
                    await ears.listening.wait()
            yield client

    @asynccontextmanager
    async def _stdio(self) -> AsyncIterator[Any]:
        executable, *arguments = command()
        parameters = StdioServerParameters(
            command=executable,
            args=[*arguments, "serve", "--transport", "stdio", "--config", str(TALKATIVE)],
            env=environment(self.variables),
            cwd=self.root,
        )
        with (self.root / "stderr").open("a", encoding="utf-8") as errors:
            yield stdio_client(parameters, errlog=errors)

    @asynccontextmanager
    async def _http(self, ears: Heard) -> AsyncIterator[Any]:
        async with loopback_client(ears) as http_client:
            yield streamable_http_client(self.url, http_client=http_client)


@asynccontextmanager
async def loopback_client(ears: Heard | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield an HTTP client for the official client to use: no proxies, and every wait has an end."""
    hooks = {"response": [ears.on_response]} if ears is not None else {}
    async with httpx2.AsyncClient(trust_env=False, timeout=2 * PATIENCE, event_hooks=hooks) as http_client:
        yield http_client


@contextmanager
def served(root: Path, variables: Mapping[str, str]) -> Iterator[Callable[[Transport, Era], Connector]]:
    """Serve over HTTP in `root` until the end of the block and yield what makes connectors."""
    with http_server(TALKATIVE, directory=root, variables=variables) as server:
        yield lambda transport, era: Connector(transport, era, root, server.url, variables)


async def eventually(condition: Callable[[], T], what: str) -> T:
    """Wait, beside the event loop, for a condition that nothing announces."""
    return await anyio.to_thread.run_sync(wait_until, condition, what)


def text_of(result: CallToolResult) -> str:
    """Return the text of a result that is one block of text."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def structured(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a result that succeeded."""
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content
