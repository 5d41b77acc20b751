"""Clients that call continuously while processes and services fail, with the time and outcome of each call.

No client retries a call of the stateless era. A client of the handshake era repeats what is refused with 503 and
Retry-After, and opens a new session when its session has ended. Knows no process.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

import anyio
import httpx

from tests.e2e.restart_clients import connections, posted, text_in, told, wait_as_told
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    JsonObject,
    initialize_params,
    notification,
    request,
    stateless_headers,
    stateless_params,
)

PACE = 0.25  # seconds between the calls of one client


@dataclass
class Calls:
    """The calls of one era: (time of the start, seconds) of the answered ones, and what happened to the others."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    """Sessions that were opened and are unknown."""

    def percentile(self, share: float, begin: float, end: float) -> float:
        """Return the seconds within which this share of the calls of a period was answered; NaN without any."""
        found = sorted(seconds for began, seconds in self.answered if begin <= began < end)
        return found[min(len(found) - 1, int(share * len(found)))] if found else math.nan


@dataclass
class FaultCrowd:
    """All clients: they call `url` with a key until `stopped` is set, every other one in the stateless era."""

    url: str
    key: str
    stateless: Calls = field(default_factory=Calls)
    handshake: Calls = field(default_factory=Calls)
    stopped: anyio.Event = field(default_factory=anyio.Event)

    async def call(self, how_many: int) -> None:
        """Run this number of clients."""
        async with anyio.create_task_group() as tasks:
            for number in range(how_many):
                tasks.start_soon(self._call_handshake if number % 2 else self._call_stateless, number)

    async def _call_stateless(self, client: int) -> None:
        async with connections(client) as http:
            for number in count():
                if self.stopped.is_set():
                    return
                ticket = f"stateless-{client}-{number}"
                message = request(number, "tools/call", stateless_params(echo(ticket)))
                await self._timed(self.stateless, http, message, stateless_headers(message), ticket)

    async def _call_handshake(self, client: int) -> None:
        session: Mapping[str, str] | None = None
        async with connections(client) as http:
            for number in count():
                if self.stopped.is_set():
                    return
                session = session or await self._open(http)
                if session is None:
                    continue
                ticket = f"handshake-{client}-{number}"
                message = request(number, "tools/call", echo(ticket))
                answer = await self._timed(self.handshake, http, message, session, ticket)
                if isinstance(answer, httpx.Response) and answer.status_code == httpx.codes.NOT_FOUND:
                    self.handshake.lost.append(ticket)
                    session = None

    async def _timed(
        self, calls: Calls, http: httpx.AsyncClient, message: JsonObject, headers: Mapping[str, str], ticket: str
    ) -> httpx.Response | httpx.TransportError:
        began = monotonic()
        answer = await self._post(http, message, headers)
        taken = monotonic() - began
        if isinstance(answer, httpx.Response) and text_in(answer) == ticket:
            calls.answered.append((began, taken))
        elif calls is self.handshake and isinstance(answer, httpx.Response) and "retry-after" in answer.headers:
            calls.refused += 1
            await wait_as_told(answer)
        elif calls is self.stateless or not is_unknown(answer):
            calls.failed.append((began, f"{ticket}, {taken:.2f} s: {told(answer)}"))
        await anyio.sleep(max(0.0, PACE - taken))
        return answer

    async def _open(self, http: httpx.AsyncClient) -> Mapping[str, str] | None:
        """Open a session and return its headers; None if that was refused for the moment, or failed."""
        answer = await self._post(http, request("open", "initialize", initialize_params(LATEST_HANDSHAKE)), {})
        if isinstance(answer, httpx.Response) and answer.status_code == httpx.codes.OK:
            session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": LATEST_HANDSHAKE}
            confirmed = await self._post(http, notification("notifications/initialized"), session)
            if isinstance(confirmed, httpx.Response) and confirmed.status_code == httpx.codes.ACCEPTED:
                return session
            answer = confirmed
        if isinstance(answer, httpx.Response) and "retry-after" in answer.headers:
            self.handshake.refused += 1
            await wait_as_told(answer)
        else:
            self.handshake.failed.append((monotonic(), f"no session: {told(answer)}"))
            await anyio.sleep(PACE)
        return None

    async def _post(
        self, http: httpx.AsyncClient, message: JsonObject, headers: Mapping[str, str]
    ) -> httpx.Response | httpx.TransportError:
        return await posted(http, self.url, message, {**headers, "Authorization": f"Bearer {self.key}"})


def echo(ticket: str) -> JsonObject:
    """Return the params of a call that answers with the ticket."""
    return {"name": "echo", "arguments": {"message": ticket}}


def is_unknown(answer: httpx.Response | httpx.TransportError) -> bool:
    """Return whether an answer says that the session is unknown."""
    return isinstance(answer, httpx.Response) and answer.status_code == httpx.codes.NOT_FOUND
