"""The table of the kinds of attack: each with its name, its description and its requirements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.load.hostile import (
    http_kinds,
    identity_kinds,
    message_kinds,
    websocket_kinds,
    work_kinds,
)
from bench.load.hostile.kinds import IDLE_SOON, Kind, Settings, StopKind, Watch

HOSTILE_ADDRESS = "127.0.0.1"
ELSEWHERE_ADDRESS = "127.0.0.3"
ELSEWHERE = "-elsewhere"
ELSEWHERE_SECONDS = 3.0

FEW_CONNECTIONS: Settings = {"server": {"max_connections": 500}}
FLOOD: Mapping[str, Any] = {"plugins": ["flood"]}
ENDED_SOON = "The server ends sessions that are idle for 10 s."

KINDS: tuple[Kind, ...] = (
    Kind(
        "sessions",
        "Sessions without end",
        f"Initializes without end on 16 connections. {ENDED_SOON}",
        http_kinds.sessions,
        settings=IDLE_SOON,
        back_seconds=25.0,
        elsewhere=True,
    ),
    Kind(
        "initialize-http",
        "Large initialize over HTTP",
        f"Initializes with 3.9 MB of capabilities, client name or revision on 4 connections. {ENDED_SOON}",
        message_kinds.initialize_http,
        settings=IDLE_SOON,
        back_seconds=25.0,
    ),
    Kind(
        "initialize-websocket",
        "Large initialize over WebSocket",
        "The same on 60 WebSockets, which stay open.",
        message_kinds.initialize_websocket,
    ),
    Kind(
        "trailers",
        "Trailers without end",
        "Trailers and chunk extensions, in short lines or one long one, that never end, on 8 connections.",
        http_kinds.trailers,
        elsewhere=True,
    ),
    Kind(
        "heads",
        "Heads over 64 KiB in one segment",
        "Request lines and headers of 128 KiB to 1 MiB, each sent at once, on 8 connections.",
        http_kinds.heads,
    ),
    Kind(
        "bodies",
        "Unfinished bodies",
        f"All but the last byte of bodies of 4 MiB, on {http_kinds.BODIES} connections.",
        http_kinds.bodies,
        elsewhere=True,
    ),
    Kind("chunks", "Tiny chunks", "Bodies in chunks of one byte, on 4 connections.", http_kinds.chunks),
    Kind(
        "pipeline",
        "Pipelined tiny requests",
        "Requests of four kinds without waiting for the responses, on 8 connections.",
        http_kinds.pipeline,
    ),
    Kind(
        "pipeline-unread",
        "Pipelined tiny requests, responses unread",
        "The same on 50 connections that read nothing.",
        http_kinds.pipeline_unread,
    ),
    Kind(
        "websocket-pings",
        "Tiny WebSocket pings and pongs",
        "Pings of 0 and 1 byte, and pongs, without end on 6 WebSockets.",
        websocket_kinds.pings,
    ),
    Kind(
        "websocket-fragments",
        "Empty WebSocket fragments",
        "Messages of empty fragments, or of one byte each, that never end, on 4 WebSockets.",
        websocket_kinds.fragments,
    ),
    Kind(
        "websocket-unfinished",
        "Unfinished WebSocket messages",
        f"All but the end of messages of 4 MiB, in one frame or many, on {websocket_kinds.UNFINISHED} WebSockets.",
        websocket_kinds.unfinished,
    ),
    Kind(
        "websocket-texts",
        "Tiny text frames",
        "`1`, `{}` and pings of JSON-RPC without end on 6 WebSockets.",
        websocket_kinds.texts,
    ),
    Kind(
        "websocket-unread",
        "WebSocket pings whose answers are not read",
        f"Pings of WebSocket and of JSON-RPC without end on {websocket_kinds.UNREAD} WebSockets that read nothing.",
        websocket_kinds.unread,
    ),
    Kind(
        "search",
        "Searches of one long line",
        f"Searches of a line of 20 MB for what matches everywhere, on {work_kinds.SEARCHES} connections.",
        work_kinds.searches,
        prepare=work_kinds.one_long_line,
        seconds=6.0,
        watches=frozenset({Watch.FILES, Watch.PROCESSOR}),
    ),
    Kind(
        "digests",
        "Digests of sparse files",
        f"The digests of {work_kinds.DIGESTS} files of 1 TiB at once.",
        work_kinds.digests,
        seconds=6.0,
        prepare=work_kinds.sparse_files,
        watches=frozenset({Watch.FILES, Watch.PROCESSOR}),
    ),
    Kind(
        "results-http",
        "Unread results over HTTP",
        "Results of 1 MB, 5 of them on each of 200 connections.",
        work_kinds.results_http,
        prepare=work_kinds.large_result,
        watches=frozenset({Watch.FILES}),
    ),
    Kind(
        "results-websocket",
        "Unread results over WebSocket",
        "Results of 1 MB, 30 of them on each of 50 WebSockets.",
        work_kinds.results_websocket,
        prepare=work_kinds.large_result,
        watches=frozenset({Watch.FILES}),
    ),
    Kind(
        "results-sse",
        "Unread results over HTTP+SSE",
        f"Results of 1 MB, {work_kinds.CALLS} of them on each of {work_kinds.EVENT_STREAMS} event streams.",
        work_kinds.results_sse,
        prepare=work_kinds.large_result,
        watches=frozenset({Watch.FILES}),
    ),
    Kind(
        "history",
        "Streams that are left",
        f"Streams of 1.6 MB that can be resumed, three in each of ever more sessions, and left. {ENDED_SOON}",
        work_kinds.history,
        seconds=6.0,
        settings={"mcp": {**IDLE_SOON["mcp"], **FLOOD}},
        back_seconds=30.0,
    ),
    Kind(
        "subscriptions-http",
        "Subscriptions over HTTP",
        f"Ever more subscriptions, some with URIs of 20,000 characters, in {message_kinds.SESSIONS} sessions. "
        f"{ENDED_SOON}",
        message_kinds.subscriptions_http,
        settings={"mcp": {**IDLE_SOON["mcp"], **FLOOD}},
        back_seconds=25.0,
    ),
    Kind(
        "subscriptions-websocket",
        "Subscriptions over WebSocket",
        f"The same on {message_kinds.SESSIONS} WebSockets.",
        message_kinds.subscriptions_websocket,
        settings={"mcp": FLOOD},
    ),
    Kind(
        "batches-http",
        "Batches over HTTP",
        "Batches of 100 and of 3.9 MB of requests, notifications and empty values (2025-03-26), on 4 connections.",
        message_kinds.batches_http,
    ),
    Kind("batches-websocket", "Batches over WebSocket", "The same on 4 WebSockets.", message_kinds.batches_websocket),
    Kind(
        "values-http",
        "Very many values over HTTP",
        "Messages of 3.9 MB of arrays, objects, numbers, texts and deep arrays, on 4 connections.",
        message_kinds.values_http,
        elsewhere=True,
    ),
    Kind(
        "values-websocket",
        "Very many values over WebSocket",
        "The same on 4 WebSockets.",
        message_kinds.values_websocket,
    ),
    Kind(
        "names-http",
        "Long names over HTTP",
        "Ids, methods, names of tools and such of 3.9 MB, on 4 connections.",
        message_kinds.names_http,
    ),
    Kind("names-websocket", "Long names over WebSocket", "The same on 4 WebSockets.", message_kinds.names_websocket),
    Kind(
        "wrong-keys",
        "Wrong keys",
        "Wrong keys and tokens on 8 connections, while a caller with a good key calls from the same address.",
        identity_kinds.wrong_keys,
        watches=frozenset({Watch.GOOD_KEY, Watch.AUDIT}),
        with_key=True,
        elsewhere=True,
    ),
    Kind(
        "audit",
        "Refusals that are recorded",
        "Wrong keys, calls that the key does not allow and calls of unknown tools on 8 connections.",
        identity_kinds.audited,
        watches=frozenset({Watch.AUDIT}),
        with_key=True,
    ),
    Kind(
        "connections",
        "Connections without end",
        f"{http_kinds.CONNECTIONS:,} connections that say nothing or half a head; the server takes 500.",
        http_kinds.connections,
        settings=FEW_CONNECTIONS,
        watches=frozenset({Watch.HEALTH}),
        elsewhere=True,
    ),
    Kind(
        "streams",
        "Streams without end",
        f"{http_kinds.CONNECTIONS:,} event streams and WebSockets; the server takes 500 connections.",
        http_kinds.streams,
        settings=FEW_CONNECTIONS,
        watches=frozenset({Watch.HEALTH}),
    ),
)

STOP_KINDS: tuple[StopKind, ...] = (
    StopKind(
        "stop-digests",
        "SIGTERM while calls run",
        f"The digests of {work_kinds.DIGESTS} files of 1 TiB; drain_seconds is 2.",
        work_kinds.digests,
        prepare=work_kinds.sparse_files,
    ),
    StopKind(
        "stop-floods",
        "SIGTERM under floods",
        "Tiny frames and tiny requests without end; drain_seconds is 2.",
        work_kinds.stop_floods,
    ),
    StopKind(
        "stop-results",
        "SIGTERM with unread results",
        "Results of 1 MB on 50 WebSockets that read nothing; drain_seconds is 2.",
        work_kinds.results_websocket,
        prepare=work_kinds.large_result,
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a kind: the name of its campaign, the hostile address, and the duration in seconds."""

    kind: Kind
    name: str
    address: str
    seconds: float


def runs() -> Iterator[Run]:
    """Yield each kind from the address of local programs, and some of them again from another address."""
    for kind in KINDS:
        yield Run(kind, kind.name, HOSTILE_ADDRESS, kind.seconds)
    for kind in KINDS:
        if kind.elsewhere:
            yield Run(kind, f"{kind.name}{ELSEWHERE}", ELSEWHERE_ADDRESS, ELSEWHERE_SECONDS)
