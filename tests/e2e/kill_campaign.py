"""Kills in short cycles, while clients write: every write that was acknowledged has to be there afterwards.

The writes are sessions with a log level, and API keys. Above `fault_place`; `fault_campaign` runs it.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock

import httpx

from tests.e2e.fault_place import VICTIMS, FaultPlace, key_in
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    JsonObject,
    initialize_params,
    notification,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.http_client import HEADERS
from tests.support.streamable_http import call_of

WRITERS = 4
CHECKED_EVERY = 15  # kills


@dataclass
class Killed:
    """What was killed, what was acknowledged, and what of that was lost."""

    kills: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    keys: int = 0
    lost: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return the figures in one line."""
        kills = ", ".join(f"{number} of {victim}" for victim, number in self.kills.items())
        written = f"{self.sessions} sessions with a log level, {self.keys} API keys"
        return f"{self.kills.total()} kills ({kills}); acknowledged: {written}; lost: {len(self.lost)}"

    def problems(self) -> list[str]:
        """Return the lost writes."""
        return [f"acknowledged and lost: {what}" for what in self.lost]


class Writer:
    """Opens sessions and sets their log level until `stopped` is set; keeps those for which both was acknowledged."""

    def __init__(self, url: str, key: str) -> None:
        self.acknowledged: list[str] = []
        self.stopped = Event()
        self._url = url
        self._headers = {**HEADERS, "Authorization": f"Bearer {key}"}
        self._lock = Lock()

    def client(self) -> httpx.Client:
        """Return a client with the key."""
        return httpx.Client(headers=self._headers, timeout=3 * PATIENCE, trust_env=False)

    def write(self) -> None:
        """Write until stopped."""
        with self.client() as client:
            while not self.stopped.wait(0.2):
                with suppress(httpx.TransportError):
                    session = self._write_one(client)
                    if session is not None:
                        with self._lock:
                            self.acknowledged.append(session)

    def take(self) -> list[str]:
        """Return the acknowledged sessions since the last time."""
        with self._lock:
            taken, self.acknowledged = self.acknowledged, []
        return taken

    def check(self, client: httpx.Client, session: str) -> str | None:
        """Return what of an acknowledged session is lost; ends the session."""
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": LATEST_HANDSHAKE}
        call = request(9, "tools/call", call_of("talk", count=1))
        answer = client.post(self._url, json=call, headers=headers)
        client.delete(self._url, headers=headers)
        if answer.status_code != httpx.codes.OK:
            return f"session: {answer.status_code} {answer.text[:200]}"
        return "log level" if "notifications/message" in answer.text else None

    def knows(self, client: httpx.Client, key: str) -> bool:
        """Return whether a call with another key is answered."""
        message: JsonObject = request(1, "tools/list", stateless_params({}))
        headers = {**stateless_headers(message), "Authorization": f"Bearer {key}"}
        return client.post(self._url, json=message, headers=headers).status_code == httpx.codes.OK

    def _write_one(self, client: httpx.Client) -> str | None:
        opened = client.post(self._url, json=request(1, "initialize", initialize_params(LATEST_HANDSHAKE)))
        if opened.status_code != httpx.codes.OK:
            return None
        session = str(opened.headers["mcp-session-id"])
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": LATEST_HANDSHAKE}
        messages = [notification("notifications/initialized"), request(2, "logging/setLevel", {"level": "error"})]
        for message in messages:
            if client.post(self._url, json=message, headers=headers).status_code >= httpx.codes.BAD_REQUEST:
                return None
        return session


def kill_repeatedly(place: FaultPlace, key: str, kills: int) -> Killed:
    """Kill a replica, Redis and PostgreSQL in turn while clients write, each restarted at once; check the writes."""
    found, writer, printed = Killed(), Writer(place.proxy.url, key), list[str]()
    with ThreadPoolExecutor(WRITERS) as threads, writer.client() as client:
        for _ in range(WRITERS):
            threads.submit(writer.write)
        try:
            for number in range(kills):
                printed += _kill(place, found, number)
                if number % CHECKED_EVERY == CHECKED_EVERY - 1 or number == kills - 1:
                    place.await_recovery()
                    _check(found, writer, client, printed)
                    printed.clear()
        finally:
            writer.stopped.set()
    return found


def _kill(place: FaultPlace, found: Killed, number: int) -> list[str]:
    """Kill and restart; return the API key whose creation was printed meanwhile, if any."""
    victim = VICTIMS[number % len(VICTIMS)]
    creating = place.new_key(f"key {number}") if victim == "postgresql" else None
    if creating is not None:  # the command takes about half a second until it writes
        Event().wait(0.3 + 0.1 * (number // len(VICTIMS) % 8))
    restart = place.kill(victim, number)
    restart()
    found.kills[victim] += 1
    key = key_in(creating.communicate()[0]) if creating is not None else None
    return [] if key is None else [key]


def _check(found: Killed, writer: Writer, client: httpx.Client, keys: list[str]) -> None:
    for session in writer.take():
        lost = writer.check(client, session)
        found.sessions += 1
        found.lost += [] if lost is None else [lost]
    for key in keys:
        found.keys += 1
        found.lost += [] if writer.knows(client, key) else ["API key"]
