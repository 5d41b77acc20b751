"""Clients that call continuously while servers behind a proxy are restarted, and the outcome of each call.

No client retries a call: a failed call stays failed. A client of the handshake era opens a new session when its session
has ended, as the specification requires. Knows the tool `work`, and no process.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic

import anyio
import httpx

from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    JsonObject,
    initialize_params,
    notification,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.http_client import EVENT_STREAM, HEADERS
from tests.support.sse import lines_of, parse_events

LONGEST_CALL = 30.0  # seconds; the client's timeout
SHORT_WORK = 0.1  # seconds
LONG_WORK = (0.3, 2.0)  # seconds; the shorter one lets many calls begin, the longer one keeps many in flight
LONGEST_WAIT = 1.0  # seconds; cap for Retry-After


@dataclass
class Tally:
    """The outcomes of the calls of one era; each failure contains the call's ticket."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Tickets of calls that were refused with 404, or with 503 and Retry-After."""
    sessions: int = 0
    failed_handshakes: list[str] = field(default_factory=list)
    in_flight: int = 0
    slowest: float = 0.0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Count a call in flight and measure its duration."""
        began = monotonic()
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.slowest = max(self.slowest, monotonic() - began)


@dataclass
class Crowd:
    """All clients: they call `url` until `stopped` is set; the tool records the begun calls in `ledger`."""

    url: str
    ledger: Path
    stateless: Tally = field(default_factory=Tally)
    handshake: Tally = field(default_factory=Tally)
    stopped: anyio.Event = field(default_factory=anyio.Event)

    def begun(self) -> Counter[str]:
        """Return how many times the work of each ticket has begun."""
        return Counter(self.ledger.read_text(encoding="utf-8").split()) if self.ledger.exists() else Counter()

    def lost(self) -> list[str]:
        """Return the handshake calls that have begun, or may have begun, without a result."""
        begun = self.begun()
        return [
            *self.handshake.failed,
            *(f"{one}: begun, then refused" for one in self.handshake.refused if begun[one]),
        ]

    def done_twice(self) -> list[str]:
        """Return the tickets whose work has begun more than once."""
        return [ticket for ticket, times in self.begun().items() if times > 1]

    async def call(self, how_many: int) -> None:
        """Run this number of clients until `stopped` is set, every other one in the stateless era."""
        async with anyio.create_task_group() as tasks:
            for number in range(how_many):
                tasks.start_soon(self._call_handshake if number % 2 else self._call_stateless, number)

    def work(self, ticket: str, seconds: float, *, aloud: bool = False) -> JsonObject:
        """Return the params of a call of `work` that takes `seconds`."""
        arguments = {"ticket": ticket, "ledger": str(self.ledger), "seconds": seconds, "aloud": aloud}
        return {"name": "work", "arguments": arguments}

    async def _call_stateless(self, client: int) -> None:
        tally = self.stateless
        async with connections(client) as http:
            for number in count():
                if self.stopped.is_set():
                    return
                ticket = f"stateless-{client}-{number}"
                echo: JsonObject = {"name": "echo", "arguments": {"message": ticket}}
                own = self.work(ticket, SHORT_WORK) if number % 5 == 4 else echo
                message = request(number, "tools/call", stateless_params(own))
                with tally.calling():
                    answer = await posted(http, self.url, message, stateless_headers(message))
                if isinstance(answer, httpx.Response) and text_in(answer) == ticket:
                    tally.answered += 1
                else:
                    tally.failed.append(f"{ticket}: {told(answer)}")

    async def _call_handshake(self, client: int) -> None:
        tally, numbers = self.handshake, count()
        async with connections(client) as http:
            while not self.stopped.is_set():
                session = await self._begin(http, client)
                while session is not None and not self.stopped.is_set():
                    number = next(numbers)
                    ticket = f"handshake-{client}-{number}"
                    params = self.work(ticket, LONG_WORK[number % 2], aloud=number % 3 == 0)
                    with tally.calling():
                        answer = await posted(http, self.url, request(number, "tools/call", params), session)
                    if isinstance(answer, httpx.Response) and text_in(answer) == ticket:
                        tally.answered += 1
                    elif isinstance(answer, httpx.Response) and is_refusal(answer):
                        tally.refused.append(ticket)
                        await wait_as_told(answer)
                        session = session if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else None
                    else:
                        tally.failed.append(f"{ticket}: {told(answer)}")
                        session = None

    async def _begin(self, http: httpx.AsyncClient, client: int) -> Mapping[str, str] | None:
        """Open a session and return its headers; None if the server refuses it."""
        first = request("begin", "initialize", initialize_params(LATEST_HANDSHAKE))
        answer = await posted(http, self.url, first, {})
        if not isinstance(answer, httpx.Response) or answer.status_code != httpx.codes.OK:
            self.handshake.failed_handshakes.append(f"client {client}: {told(answer)}")
            if isinstance(answer, httpx.Response):
                await wait_as_told(answer)
            return None
        session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": LATEST_HANDSHAKE}
        confirmed = await posted(http, self.url, notification("notifications/initialized"), session)
        if not isinstance(confirmed, httpx.Response) or confirmed.status_code != httpx.codes.ACCEPTED:
            if not (isinstance(confirmed, httpx.Response) and is_refusal(confirmed)):
                self.handshake.failed_handshakes.append(f"client {client}, initialized: {told(confirmed)}")
            return None
        self.handshake.sessions += 1
        return session


def connections(client: int) -> httpx.AsyncClient:
    """Return the HTTP client of a simulated client, with its own source address and without retries."""
    transport = httpx.AsyncHTTPTransport(retries=0, local_address=f"127.0.1.{client + 1}")
    return httpx.AsyncClient(transport=transport, headers=HEADERS, timeout=LONGEST_CALL)


async def posted(
    http: httpx.AsyncClient, url: str, message: JsonObject, headers: Mapping[str, str]
) -> httpx.Response | httpx.TransportError:
    """Send a message once; return the response, or the transport error."""
    try:
        return await http.post(url, json=message, headers=headers)
    except httpx.TransportError as problem:
        return problem


def text_in(answer: httpx.Response) -> str | None:
    """Return the text of a successful tool result; None for any other response."""
    if answer.headers.get("content-type", "").startswith(EVENT_STREAM):
        texts = [event.data for event in parse_events(lines_of([answer.content])) if event.data]
    else:
        texts = [answer.text] if answer.status_code == httpx.codes.OK else []
    for text in reversed(texts):
        result = json.loads(text).get("result")
        if result is not None and not result.get("isError"):
            return str(result["content"][0]["text"])
    return None


def is_refusal(answer: httpx.Response) -> bool:
    """Return whether a response says that the call has not begun: 404 (session ended), or 503 with Retry-After."""
    coming_back = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in answer.headers
    return answer.status_code == httpx.codes.NOT_FOUND or coming_back


async def wait_as_told(answer: httpx.Response) -> None:
    """Sleep as Retry-After says, up to LONGEST_WAIT."""
    await anyio.sleep(min(float(answer.headers.get("retry-after", 0)), LONGEST_WAIT))


def told(answer: httpx.Response | httpx.TransportError) -> str:
    """Return a response or a transport error as one line."""
    if isinstance(answer, httpx.Response):
        return f"{answer.status_code} {answer.text[:200]!r}"
    return repr(answer)
