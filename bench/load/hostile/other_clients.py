"""The other clients during an attack: they ping on kept and on fresh connections, over HTTP and WebSocket.

A probe repeats one request, and records the longest time to a response and the number of failures. A failure is a wrong
response, or none within LIMIT_SECONDS.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.errors import BenchError
from bench.load.hostile import payloads
from bench.load.idle import open_client, ping
from bench.messages import Era
from bench.websocket_client import WebSocketClient

OTHER_ADDRESS = "127.0.0.2"
EVERY_SECONDS = 0.1
LIMIT_SECONDS = 10.0
PING = payloads.encode({"jsonrpc": "2.0", "id": 2, "method": "ping"})


@dataclass(frozen=True, slots=True)
class Place:
    """The port, the source address and the headers of another client."""

    port: int
    address: str = OTHER_ADDRESS
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Question(Protocol):
    """A request that another client repeats."""

    async def ask(self) -> float:
        """Send the request once and return the seconds until the response."""

    def close(self) -> None:
        """Drop the connection, if one is open."""


class HttpConnection:
    """One HTTP connection from an address."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None

    async def ask(self, request: bytes, status: int) -> Answer:
        """Send a request and return its response; connect first if necessary.

        Raises:
            BenchError: the response has another status, or the server closed the connection.
        """
        if self._writer is None or self._reader is None:
            local = (self._place.address, 0)
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._place.port, local_addr=local)
        self._writer.write(request)
        try:
            answer = await _answer(self._reader)
        except (EOFError, OSError) as error:
            raise BenchError(f"the connection was closed: {error!r}") from None
        if answer.status != status:
            raise BenchError(f"status {answer.status} instead of {status}: {answer.body[:200]!r}")
        return answer

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._writer = self._reader = None


async def _answer(reader: asyncio.StreamReader) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(lines[0].split(" ")[1]), headers, body)


class KeptHttp:
    """Pings in one session on one connection."""

    def __init__(self, place: Place) -> None:
        self._connection = HttpConnection(place)
        self._headers = dict(place.headers or {})
        self._session: str | None = None

    async def ask(self) -> float:
        """Ping."""
        begin = time.monotonic()
        if self._session is None:
            self._session = await initialized(self._connection, self._headers)
        await self._connection.ask(_in_session(self._session, self._headers), 200)
        return time.monotonic() - begin

    def close(self) -> None:
        """Drop the connection; the session stays open."""
        self._connection.close()


class FreshHttp:
    """Connects, initializes, pings and ends the session."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._headers = dict(place.headers or {})

    async def ask(self) -> float:
        """Return the seconds of the slowest of these requests."""
        connection = HttpConnection(self._place)
        try:
            begin = time.monotonic()
            session = await initialized(connection, self._headers)
            opened = time.monotonic()
            await connection.ask(_in_session(session, self._headers), 200)
            answered = time.monotonic()
            leave = payloads.head("DELETE", headers={**self._headers, "Mcp-Session-Id": session, **_REVISION})
            await connection.ask(leave, 204)
            return max(opened - begin, answered - opened, time.monotonic() - answered)
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is open between two questions."""


class KeptWebSocket:
    """Pings in one session on one WebSocket."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: WebSocketClient | None = None

    async def ask(self) -> float:
        """Ping."""
        begin = time.monotonic()
        if self._client is None:
            self._client = WebSocketClient(self._place.port, self._place.address, self._place.headers)
            await open_client(self._client)
        await ping(self._client)
        return time.monotonic() - begin

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None and hasattr(self._client, "transport"):
            self._client.abort()
        self._client = None


class FreshWebSocket:
    """Opens a WebSocket and pings."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def ask(self) -> float:
        """Return the seconds of the connection and the ping together."""
        kept = KeptWebSocket(self._place)
        try:
            return await kept.ask()
        finally:
            kept.close()

    def close(self) -> None:
        """Nothing is open between two questions."""


class FreshGet:
    """Connects and requests a page, which must have status 200."""

    def __init__(self, place: Place, path: str) -> None:
        self._place = place
        self._request = payloads.get(path)

    async def ask(self) -> float:
        """Get the page."""
        connection = HttpConnection(self._place)
        begin = time.monotonic()
        try:
            await connection.ask(self._request, 200)
            return time.monotonic() - begin
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is open between two questions."""


class KeptCall:
    """Calls a tool in the stateless era on one connection; the call must succeed."""

    def __init__(self, place: Place, tool: str, arguments: Mapping[str, object]) -> None:
        self._connection = HttpConnection(place)
        self._request = payloads.stateless_call(tool, arguments, place.headers)

    async def ask(self) -> float:
        """Call."""
        begin = time.monotonic()
        answer = json.loads((await self._connection.ask(self._request, 200)).body)
        if "result" not in answer or answer["result"].get("isError"):
            raise BenchError(f"a call got {str(answer)[:200]}")
        return time.monotonic() - begin

    def close(self) -> None:
        """Drop the connection."""
        self._connection.close()


_REVISION = {"MCP-Protocol-Version": Era.HANDSHAKE.revision}


async def initialized(connection: HttpConnection, headers: Mapping[str, str]) -> str:
    """Open a session and return its id."""
    opened = await connection.ask(payloads.post(payloads.initialize(name="other"), headers), 200)
    session = opened.headers["mcp-session-id"]
    ready = payloads.post(payloads.INITIALIZED, {**headers, "Mcp-Session-Id": session, **_REVISION})
    await connection.ask(ready, 202)
    return session


def _in_session(session: str, headers: Mapping[str, str]) -> bytes:
    return payloads.post(PING, {**headers, "Mcp-Session-Id": session, **_REVISION})


class Probe:
    """Sends a request every EVERY_SECONDS until it is stopped."""

    def __init__(self, question: Question, *, after: float = 0.0) -> None:
        """Create a probe that begins after `after` seconds, so that several probes do not coincide."""
        self._question = question
        self._after = after
        self._stopping = asyncio.Event()
        self.slowest = 0.0
        self.asked = 0
        self.failed = 0
        self.reason: str | None = None
        """The first failure."""

    async def run(self) -> None:
        """Send requests until `stop`, and close the connection."""
        try:
            await self._pause(self._after)
            while not self._stopping.is_set():
                await self._ask()
                await self._pause(EVERY_SECONDS)
        finally:
            self._question.close()

    def stop(self) -> None:
        """Send no further requests."""
        self._stopping.set()

    async def _ask(self) -> None:
        self.asked += 1
        try:
            self.slowest = max(self.slowest, await asyncio.wait_for(self._question.ask(), LIMIT_SECONDS))
        except TimeoutError:
            self.slowest = LIMIT_SECONDS
            self._fail(f"no answer within {LIMIT_SECONDS:g} s")
        except (BenchError, OSError, RuntimeError, EOFError, ValueError, KeyError, http.client.HTTPException) as error:
            self._fail(str(error) or repr(error))

    def _fail(self, reason: str) -> None:
        self.failed += 1
        self.reason = self.reason or reason
        self._question.close()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def ping_probes(place: Place) -> list[Probe]:
    """Return the probes of a client that pings every 50 ms on kept connections and every 50 ms on fresh ones."""
    kinds: tuple[Callable[[Place], Question], ...] = (KeptHttp, FreshHttp, KeptWebSocket, FreshWebSocket)
    return [Probe(kind(place), after=position * EVERY_SECONDS / len(kinds)) for position, kind in enumerate(kinds)]


async def asking(probes: list[Probe], until: Awaitable[object]) -> None:
    """Run probes until `until` is done, and wait for their last responses."""
    tasks = [asyncio.create_task(probe.run()) for probe in probes]
    try:
        await until
    finally:
        for probe in probes:
            probe.stop()
        await asyncio.gather(*tasks)
