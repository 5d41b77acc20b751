"""Clients that call all the time while servers behind a proxy are restarted, and what becomes of each of their calls.

None of them sends a call twice: what fails has failed. Those of the handshake era begin a session anew when theirs has
ended, as the specification tells them to. Knows the tool `work`, and no process.
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

LONGEST_CALL = 30.0  # seconds that a client waits
SHORT_WORK = 0.1  # seconds
LONG_WORK = (0.3, 2.0)  # seconds; with the shorter one, many calls begin, with the longer one, many are in flight
LONGEST_WAIT = 1.0  # seconds that a client heeds of Retry-After


@dataclass
class Tally:
    """What became of the calls of one era; a failure is told with the call's ticket."""

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
        """Count a call that is in flight, and how long it takes."""
        began = monotonic()
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.slowest = max(self.slowest, monotonic() - began)


@dataclass
class Crowd:
    """All clients: they call `url` until they are stopped, and write down in `ledger` what has begun."""

    url: str
    ledger: Path
    stateless: Tally = field(default_factory=Tally)
    handshake: Tally = field(default_factory=Tally)
    stopped: anyio.Event = field(default_factory=anyio.Event)

    def begun(self) -> Counter[str]:
        """Return how often the work of each ticket has begun."""
        return Counter(self.ledger.read_text(encoding="utf-8").split()) if self.ledger.exists() else Counter()

    def lost(self) -> list[str]:
        """Return what became of calls of the handshake era that had begun, or may have, and got no answer."""
        begun = self.begun()
        return [
            *self.handshake.failed,
            *(f"{one}: begun, then refused" for one in self.handshake.refused if begun[one]),
        ]

    def done_twice(self) -> list[str]:
        """Return the tickets whose work has begun more than once."""
        return [ticket for ticket, times in self.begun().items() if times > 1]

    async def call(self, how_many: int) -> None:
        """Let so many clients call until `stopped` is set, every other one in the stateless era."""
        async with anyio.create_task_group() as tasks:
            for number in range(how_many):
                tasks.start_soon(self._call_handshake if number % 2 else self._call_stateless, number)

    def work(self, ticket: str, seconds: float, *, aloud: bool = False) -> JsonObject:
        """Return the params of a call that takes so long."""
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
        """Return the headers of a new session, None if there was none to be had."""
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
    """Return the connections of a client, which has an address of its own and sends nothing twice."""
    transport = httpx.AsyncHTTPTransport(retries=0, local_address=f"127.0.1.{client + 1}")
    return httpx.AsyncClient(transport=transport, headers=HEADERS, timeout=LONGEST_CALL)


async def posted(
    http: httpx.AsyncClient, url: str, message: JsonObject, headers: Mapping[str, str]
) -> httpx.Response | httpx.TransportError:
    """Send a message once; return the whole answer, or what came instead."""
    try:
        return await http.post(url, json=message, headers=headers)
    except httpx.TransportError as problem:
        return problem


def text_in(answer: httpx.Response) -> str | None:
    """Return the text of a tool's result, None if the answer is something else."""
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
    """Tell whether an answer says that the call was not begun: the session has ended, or the client is to come back."""
    coming_back = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in answer.headers
    return answer.status_code == httpx.codes.NOT_FOUND or coming_back


async def wait_as_told(answer: httpx.Response) -> None:
    """Heed Retry-After."""
    await anyio.sleep(min(float(answer.headers.get("retry-after", 0)), LONGEST_WAIT))


def told(answer: httpx.Response | httpx.TransportError) -> str:
    """Return an answer, or what came instead, in one line."""
    if isinstance(answer, httpx.Response):
        return f"{answer.status_code} {answer.text[:200]!r}"
    return repr(answer)
