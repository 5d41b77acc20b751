"""The campaigns: the server, the load and the figures of each one, with a note that explains them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench.collector import Collector
from bench.contenders import Contender, Plugins, Transport
from bench.cores import Cores
from bench.jsonrpc_client import JsonRpcClient
from bench.load import churn, event_outage, outage, slow
from bench.load.figures import Figure
from bench.load.flood import Calls, Source, Updates, flood
from bench.load.hostile.campaign import run_kind, run_stop
from bench.load.hostile.kinds import StopKind
from bench.load.hostile.table import HOSTILE_ADDRESS, STOP_KINDS, Run, runs
from bench.load.idle import WARM_UP_CLIENTS, Held, hold
from bench.load.memory import KIB
from bench.load.servers import Served, serving, serving_events, serving_observed
from bench.messages import Era
from bench.posts import Posts
from bench.server_process import free_port
from bench.sse_client import SseClient
from bench.streamable_client import StreamableClient
from tests.support.nats_server import NatsServer

IDLE_CONNECTIONS = 1_000
IDLE_SECONDS = 60.0
IDLE_KIB = 30.0
CALLS = {era: Calls(calls=20, each=1_000, size=8 * KIB, era=era) for era in Era}
UPDATES = Updates(uris=200, rounds=100, size=1_000)
KERNEL = "Of each connection the kernel takes 4 MiB at most, as Linux is set up by default."
READ = "Compared with the same server after a client that reads got as many"

LABELS = {
    Transport.WEBSOCKET: "WebSocket",
    Transport.SSE: "HTTP+SSE",
    Transport.UNIX: "Unix socket",
    Transport.HTTP: "Streamable HTTP",
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """One load test of a server."""

    name: str
    title: str
    note: str
    run: Callable[[Cores], list[Figure]]


def idle(transport: Transport) -> Campaign:
    """Hold connections to the product and to the bare app at the same time."""

    def run(cores: Cores) -> list[Figure]:
        with serving(cores, transport) as product, serving(cores, transport, contender=Contender.BARE) as bare:
            ours, theirs = uvloop.run(_hold_both(product, bare))
        return [
            Figure("memory per connection", round(max(ours.at_first, ours.at_last) / KIB, 1), "KiB", at_most=IDLE_KIB),
            Figure("the same of a bare ASGI app", round(max(theirs.at_first, theirs.at_last) / KIB, 1), "KiB"),
            Figure("that answered a ping at the end", ours.answered, "", at_least=IDLE_CONNECTIONS),
            Figure("slowest of these pings", round(ours.slowest_ping * 1_000), "ms"),
        ]

    note = (
        f"{IDLE_CONNECTIONS:,} sessions, initialized and held for {IDLE_SECONDS:g} s; compared with the same server "
        f"after {WARM_UP_CLIENTS} others came and went. The bare app is on the same uvicorn, under the same load."
    )
    return Campaign(f"idle-{transport}", f"{IDLE_CONNECTIONS:,} idle connections, {LABELS[transport]}", note, run)


async def _hold_both(product: Served, bare: Served) -> tuple[Held, Held]:
    return await asyncio.gather(_hold(product), _hold(bare))


async def _hold(served: Served) -> Held:
    posts = Posts(served.port)

    def new() -> JsonRpcClient:
        return SseClient(served.port, posts) if served.transport is Transport.SSE else served.client()

    try:
        return await hold(served.process, new, IDLE_CONNECTIONS, IDLE_SECONDS)
    finally:
        posts.close()


def calls_unread(transport: Transport) -> Campaign:
    """Many calls of one client on one channel, which send notifications at the same time."""
    calls = CALLS[Era.HANDSHAKE]
    note = (
        f"{calls.calls} calls at once, each of which sends {calls.each:,} progress notifications of "
        f"{calls.size // KIB} KiB, {calls.burst} a second. {KERNEL} {READ}, one call after the other."
    )
    title = f"Calls whose notifications nobody reads, {LABELS[transport]}"
    return _flood(f"flood-{transport}", title, note, transport, calls, lambda served: served.client())


def streams_unread(era: Era) -> Campaign:
    """Many streams of Streamable HTTP that are not read."""
    calls = CALLS[era]
    kept = " The session lives on, and its streams can be resumed." if era is Era.HANDSHAKE else ""
    note = (
        f"{calls.calls} POSTs at once, each on its own connection and answered by a stream of {calls.each:,} progress "
        f"notifications of {calls.size // KIB} KiB, {calls.burst} a second. {KERNEL}{kept} {READ}, one call after the "
        "other, and ended its session."
    )
    title = f"Streams that nobody reads, {LABELS[Transport.HTTP]}, {era} era"
    name = "flood-http" if era is Era.HANDSHAKE else "flood-http-stateless"
    return _flood(name, title, note, Transport.HTTP, calls, lambda served: StreamableClient(served.port, era))


def updates_unread(transport: Transport) -> Campaign:
    """Updates of subscribed resources, which belong to no call."""

    def audience(served: Served) -> JsonRpcClient:
        return StreamableClient(served.port, listening=True) if transport is Transport.HTTP else served.client()

    note = (
        f"{UPDATES.rounds} updates of each of {UPDATES.uris} resources that the client subscribed to, with URIs of "
        f"{UPDATES.size:,} characters. {KERNEL} {READ}."
    )
    title = f"Updates of resources that nobody reads, {LABELS[transport]}"
    return _flood(f"updates-{transport}", title, note, transport, UPDATES, audience)


def _flood(
    name: str, title: str, note: str, transport: Transport, source: Source, audience: Callable[[Served], JsonRpcClient]
) -> Campaign:
    def run(cores: Cores) -> list[Figure]:
        with serving(cores, transport, Plugins.FLOOD) as served:
            return uvloop.run(flood(served, source, lambda: audience(served)))

    return Campaign(name, title, note, run)


def sessions_dropped(
    name: str, what: str, drop: churn.Drop, *, transport: Transport = Transport.HTTP, plugins: Plugins = Plugins.CHURN
) -> Campaign:
    """Sessions that are opened and dropped."""

    def run(cores: Cores) -> list[Figure]:
        with serving(cores, transport, plugins) as served:
            return uvloop.run(churn.churn(served, drop))

    note = f"{what}. Compared with the same server after {churn.WARM_UP_SESSIONS:,} such sessions."
    title = f"{churn.SESSIONS:,} sessions opened and dropped, {LABELS[transport]}"
    return Campaign(f"churn-{name}", title, note, run)


def slow_clients() -> Campaign:
    """Clients that do not complete their requests."""

    def run(cores: Cores) -> list[Figure]:
        with serving(cores, Transport.HTTP) as served:
            return uvloop.run(slow.slow(served))

    note = (
        f"{slow.CONNECTIONS} connections at once that say nothing, half a head, or the head of a body that does not "
        f"come, while {slow.CALLERS} others call one call after the other; the median of rounds with and without."
    )
    return Campaign("slow-http", f"{slow.CONNECTIONS} slow clients, {LABELS[Transport.HTTP]}", note, run)


def collector_gone(collector: Collector, what: str) -> Campaign:
    """Calls whose telemetry cannot be exported."""

    def run(cores: Cores) -> list[Figure]:
        with collector.running() as where, serving_observed(cores, where) as served:
            return uvloop.run(outage.outage(served))

    note = (
        f"{outage.CALLS:,} calls, all of their traces recorded, with {what}. Compared with the same server after "
        f"{outage.WARM_UP_CALLS:,} calls before."
    )
    return Campaign(f"outage-{collector}", f"{outage.CALLS:,} calls with {what}", note, run)


def nats_gone() -> Campaign:
    """Calls whose events cannot be relayed for a minute."""

    def run(cores: Cores) -> list[Figure]:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="tfo-bench-")))
            broker = NatsServer(free_port(), directory)
            stack.enter_context(broker.running())
            served = stack.enter_context(serving_events(cores, directory / "tfo-mcp.db", broker.url))
            return uvloop.run(event_outage.outage(served, broker, stack))

    note = (
        f"{event_outage.RATE:,} calls a second for {event_outage.SECONDS} s with NATS, and as long without it; "
        "each call has an event in the outbox, a file of SQLite. Then NATS starts again."
    )
    return Campaign("outage-nats", f"{event_outage.RATE:,} calls a second without NATS", note, run)


def hostile(attack: Run) -> Campaign:
    """An attack by one hostile client, while another client pings."""

    def run(cores: Cores) -> list[Figure]:
        return run_kind(attack.kind, attack.address, attack.seconds, cores)

    where = f"For {attack.seconds:g} s from {attack.address}; the server has its default settings otherwise."
    return Campaign(f"hostile-{attack.name}", attack.kind.title, f"{attack.kind.note} {where}", run)


def stopped(kind: StopKind) -> Campaign:
    """The shutdown of a server under attack by one hostile client."""

    def run(cores: Cores) -> list[Figure]:
        return run_stop(kind, HOSTILE_ADDRESS, cores)

    return Campaign(f"hostile-{kind.name}", kind.title, kind.note, run)


def all_campaigns() -> list[Campaign]:
    """Every campaign, in the order of the table."""
    connect, initialize = "Connect, initialize and reset the connection", "Initialize"
    at_once = f"{churn.AT_ONCE} clients at a time"
    return [
        idle(Transport.WEBSOCKET),
        idle(Transport.SSE),
        slow_clients(),
        collector_gone(Collector.SILENT, "a collector that never answers"),
        collector_gone(Collector.REFUSED, "a collector that is not there"),
        nats_gone(),
        *(calls_unread(transport) for transport in (Transport.WEBSOCKET, Transport.SSE, Transport.UNIX)),
        *(streams_unread(era) for era in Era),
        *(
            updates_unread(transport)
            for transport in (Transport.WEBSOCKET, Transport.SSE, Transport.UNIX, Transport.HTTP)
        ),
        sessions_dropped("websocket", f"{connect}, {at_once}", churn.drop_websockets, transport=Transport.WEBSOCKET),
        sessions_dropped("sse", f"{connect}, {at_once}", churn.drop_event_streams, transport=Transport.SSE),
        sessions_dropped("http-delete", f"{initialize}, DELETE, one after the other", churn.delete_sessions),
        sessions_dropped(
            "http-dropped",
            f"{initialize}, and never come back: the server ends what is idle for 10 s",
            churn.abandon_sessions,
            plugins=Plugins.IDLE_SOON,
        ),
        *(hostile(attack) for attack in runs()),
        *(stopped(kind) for kind in STOP_KINDS),
    ]
