"""`python -m tests.e2e.event_campaign`: are all events of what was acknowledged in the stream, each once and in order?

    python -m tests.e2e.event_campaign --seconds 60 --clients 50 --kills 200

Clients open and close sessions and call a tool at two servers with `events.durability: calls`, while the servers (one
of which relays), NATS and PostgreSQL are killed with SIGKILL at random. Then NATS is away for some seconds at load. The
exit code is 1 when a promise of docs/reliability.md was broken.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic

import anyio
import httpx

from tests.e2e.restartable import Restartable, restartables
from tests.support.databases import access_to
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, notification, request
from tests.support.http_client import HEADERS
from tests.support.nats_server import NatsServer, nats_server
from tests.support.nats_streams import stored_events
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.processes import LOOPBACK
from tests.support.recorded_events import by_subject
from tfo_mcp.application.ports import RecordedEvent

STREAM = "TFO_MCP_EVENTS"
DRAIN_SECONDS = 10.0  # promised
WHOLE = ("SessionCreated", "SessionInitialized", "SessionClosed")
NOTHING_LIMITED = {"calls_per_minute": 0, "calls_at_once": 0}


@dataclass
class Client:
    """Opens and closes sessions with a tool call in each; keeps which commands were acknowledged."""

    url: str
    tool: str
    opened: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    called: int = 0
    refused: int = 0
    longest: float = 0.0

    def work(self, stopped: Event) -> None:
        """Call until stopped."""
        with httpx.Client(headers=HEADERS, timeout=3 * PATIENCE, trust_env=False) as client:
            while not stopped.is_set():
                began = monotonic()
                try:
                    self._session(client)
                except (httpx.TransportError, httpx.HTTPStatusError):
                    self.refused += 1
                    stopped.wait(0.05)
                self.longest = max(self.longest, monotonic() - began)

    def _session(self, client: httpx.Client) -> None:
        opened = client.post(self.url, json=request(1, "initialize", initialize_params(LATEST_HANDSHAKE)))
        session = str(opened.raise_for_status().headers["mcp-session-id"])
        digest = blake2b(session.encode(), digest_size=8).hexdigest()
        self.opened.add(digest)
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": LATEST_HANDSHAKE}
        client.post(self.url, json=notification("notifications/initialized"), headers=headers).raise_for_status()
        self.confirmed.add(digest)
        call = request(2, "tools/call", {"name": self.tool, "arguments": {"message": "hello"}})
        if "result" in client.post(self.url, json=call, headers=headers).raise_for_status().text:
            self.called += 1
        client.delete(self.url, headers=headers).raise_for_status()
        self.closed.add(digest)


@dataclass
class EventPlace:
    """Two servers on one PostgreSQL and one NATS."""

    servers: list[Restartable]
    postgres: PostgresServer
    nats: NatsServer
    database: str
    running: ExitStack

    def victims(self) -> list[tuple[str, Callable[[], None]]]:
        """Return what can be killed, and how each is killed and started again."""
        servers = [("server", lambda server=server: self._restart(server)) for server in self.servers]
        return [*servers, ("NATS", self.restart_nats), ("PostgreSQL", self._restart_postgres)]

    def kill_nats(self) -> None:
        """Kill NATS."""
        self.nats.kill()

    def start_nats(self) -> None:
        """Start NATS again on its store."""
        self.running.enter_context(self.nats.running())

    def restart_nats(self) -> None:
        """Kill NATS and start it again."""
        self.kill_nats()
        self.start_nats()

    def waiting(self) -> int:
        """Return the number of events in the outbox."""
        return int(self.postgres.sql(self.database.rpartition("/")[2], "SELECT count(*) FROM tfo_outbox"))

    def drained(self) -> float:
        """Wait until the outbox is empty; return the seconds that took."""
        began = monotonic()
        wait_until(lambda: self.waiting() == 0, "the outbox is empty", 12 * DRAIN_SECONDS)
        return monotonic() - began

    def events(self) -> list[RecordedEvent]:
        """Return all events of the stream."""
        return list(anyio.run(stored_events, self.nats.url, STREAM))

    @staticmethod
    def _restart(server: Restartable) -> None:
        server.child.process.kill()
        server.child.wait()
        server.start()

    def _restart_postgres(self) -> None:
        self.postgres.crash()
        self.postgres.start()


@contextmanager
def event_place() -> Iterator[EventPlace]:
    """Run everything until the end of the block."""
    with ExitStack() as stack:
        postgres, nats = stack.enter_context(postgres_server()), stack.enter_context(nats_server())
        database = postgres.new_database()
        access_to(database).upgrade()
        configuration = {
            "events": {"url": nats.url, "durability": "calls"},
            "storage": {"url": database},
            "security": {
                "anonymous": "all",
                "audit": False,
                "key_pepper": "a pepper of more than thirty-two characters",
            },
            "mcp": {"max_sessions": 100_000, "max_sessions_per_caller": 100_000},
            "limits": NOTHING_LIMITED,
            "server": {"max_connections_per_address": 1000},
            "logging": {"level": "error"},
        }
        variables = {"XDG_STATE_HOME": stack.enter_context(TemporaryDirectory())}
        servers = stack.enter_context(restartables(2, configuration, variables))
        yield EventPlace(servers, postgres, nats, database, stack.enter_context(ExitStack()))


def problems_of(clients: list[Client], events: list[RecordedEvent]) -> list[str]:
    """Return what is wrong with the stream, one line each."""
    found = [
        f"{number} times in the stream: {each}" for each, number in Counter(e.id for e in events).items() if number > 1
    ]
    sessions = {
        subject: [event.type for event in some]
        for (aggregate, subject), some in by_subject(events).items()
        if aggregate == "session"
    }
    for client in clients:
        for digests, kind in ((client.opened, WHOLE[0]), (client.confirmed, WHOLE[1]), (client.closed, WHOLE[2])):
            found += [
                f"acknowledged and lost: {kind} of {each}" for each in digests if kind not in sessions.get(each, ())
            ]
    found += [
        f"out of order or twice: {types}"
        for types in sessions.values()
        if tuple(types) != tuple(kind for kind in WHOLE if kind in types)
    ]
    called = sum(client.called for client in clients)
    recorded = sum(event.type == "ToolExecuted" for event in events)
    return [*found, *([f"{called} calls were answered, {recorded} are recorded"] if recorded < called else [])]


def while_called(place: EventPlace, clients: int, disturb: Callable[[], None]) -> list[Client]:
    """Let clients call while something happens; return them."""
    urls = [f"http://{LOOPBACK}:{server.port}/mcp" for server in place.servers]
    crowd = [Client(urls[number % len(urls)], "echo") for number in range(clients)]
    stopped = Event()
    with ThreadPoolExecutor(clients) as threads:
        working = [threads.submit(client.work, stopped) for client in crowd]
        try:
            disturb()
        finally:
            stopped.set()
    for each in working:
        each.result()
    return crowd


def kill_at_random(place: EventPlace, seconds: float, kills: int, seed: int, killed: Counter[str]) -> None:
    """Kill and restart at random, for these seconds and at least this number of times."""
    random, end = Random(seed), monotonic() + seconds
    while monotonic() < end or killed.total() < kills:
        name, restart = random.choice(place.victims())
        restart()
        killed[name] += 1
        Event().wait(random.uniform(0.0, 0.3))


def nats_away(place: EventPlace, seconds: float) -> None:
    """Kill NATS, and start it again after some seconds."""
    place.kill_nats()
    Event().wait(seconds)
    place.start_nats()


def main() -> int:
    """Run the campaign with the options of the command line, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of each part")
    parser.add_argument("--clients", type=int, default=50, help="number of clients")
    parser.add_argument("--kills", type=int, default=200, help="number of kills at least")
    parser.add_argument("--seed", type=int, default=17, help="seed of what is killed when")
    options = parser.parse_args()
    with event_place() as place:
        killed: Counter[str] = Counter()
        crowd = while_called(
            place, options.clients, lambda: kill_at_random(place, options.seconds, options.kills, options.seed, killed)
        )
        drain = place.drained()
        problems = problems_of(crowd, place.events())
        print(f"{killed.total()} kills ({dict(killed)}); drained in {drain:.1f} s; {figures(crowd, place)}", flush=True)
        if drain > DRAIN_SECONDS:
            problems.append(f"the outbox was drained only after {drain:.1f} s")
        away = while_called(place, options.clients, lambda: nats_away(place, options.seconds))
        drain = place.drained()
        print(f"NATS away for {options.seconds:g} s; drained in {drain:.1f} s; {figures(away, place)}", flush=True)
        problems += problems_of([*crowd, *away], place.events())
        problems += [f"{client.refused} sessions failed while NATS was away" for client in away if client.refused]
    print("\n".join(dict.fromkeys(problems[:40])))
    return 1 if problems else 0


def figures(crowd: list[Client], place: EventPlace) -> str:
    """Return what the clients did, and what the stream has."""
    closed, called = sum(len(client.closed) for client in crowd), sum(client.called for client in crowd)
    refused, longest = sum(client.refused for client in crowd), max(client.longest for client in crowd)
    return (
        f"{closed} sessions acknowledged from begin to end, {called} calls answered, {refused} attempts failed, "
        f"longest {longest:.1f} s; {len(place.events())} events in the stream"
    )


if __name__ == "__main__":
    sys.exit(main())
