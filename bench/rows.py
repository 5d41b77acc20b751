"""The rows of the table: what is measured, the contenders, and the targets.

A row prepares each contender once (it starts servers and opens sessions) and returns a sampler. A sampler takes one
measurement of about the given number of seconds. The targets are ratios between contenders of the same row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from bench.collector import Collector
from bench.contenders import Contender, Plugins, Transport
from bench.file_rows import file_rows
from bench.generator import Sample
from bench.http_load import measure
from bench.messages import Era, call, check_call, check_list, check_streamed_call, list_tools, parse
from bench.row import Row, Sampler, Target
from bench.server_process import resident_mebibytes
from bench.shop_load import VISITORS
from bench.shop_load import measure as measure_shop
from bench.site import Site
from bench.sse_load import measure as measure_sse
from bench.state_rows import state_rows
from bench.websocket_load import measure as measure_websocket

PRODUCT, BASELINE = Contender.PRODUCT, Contender.BASELINE
BARE, PYTHON, TYPESCRIPT = Contender.BARE, Contender.PYTHON_SDK, Contender.TYPESCRIPT_SDK

CONNECTIONS = 32
LIST_CONNECTIONS = 4
START_TOOLS = 100
PIPELINED_CALLS = 2_000
QUEUE_CALLS = 20_000
"""Calls that fill the queue of spans, of which a collector takes none."""
TELEMETRY = (
    ("sampled", "a tenth of the traces", Collector.TAKES, 0.1, 0.85),
    ("all", "all traces", Collector.TAKES, 1.0, 0.6),
    ("silent", "all traces, to a collector that never answers", Collector.SILENT, 1.0, 0.95),
    ("refused", "all traces, to a collector that is not there", Collector.REFUSED, 1.0, 0.95),
)


def check_echo(body: bytes, number: int) -> None:
    """Check the body of an echo."""
    check_call(parse(body), number)


def echo_over_http(era: Era, connections: int) -> Callable[[Site], Sampler]:
    """Echo over this number of connections, each of them one client."""

    def prepare(site: Site) -> Sampler:
        endpoint = site.http()
        plans = endpoint.plans(era, call(era, "echo"), connections)
        return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)

    return prepare


def echo_over_websocket(era: Era, connections: int) -> Callable[[Site], Sampler]:
    """Echo over this number of WebSocket connections; over the same number of HTTP connections for the baseline."""

    def prepare(site: Site) -> Sampler:
        if site.contender is BASELINE:
            return echo_over_http(era, connections)(site)
        port = site.port(Transport.WEBSOCKET)
        message = call(era, "echo")
        return lambda seconds: measure_websocket(port, era, message, connections, check_echo, seconds)

    return prepare


def echo_over_sse(site: Site) -> Sampler:
    """Echo by HTTP+SSE clients; over the same number of Streamable HTTP connections for the baseline."""
    if site.contender is BASELINE:
        return echo_over_http(Era.HANDSHAKE, CONNECTIONS)(site)
    port = site.port(Transport.SSE)
    message = call(Era.HANDSHAKE, "echo")
    return lambda seconds: measure_sse(port, message, CONNECTIONS, check_echo, seconds)


def streamed(era: Era) -> Callable[[Site], Sampler]:
    """A tool that reports progress, so that its response is a stream; the baseline is echo, configured the same."""

    def prepare(site: Site) -> Sampler:
        endpoint = site.http(plugins=Plugins.STREAMING)
        stream = site.contender.is_product
        message = call(era, "echo_stream", progress=True) if stream else call(era, "echo")
        check = check_streamed_call if stream else check_echo
        plans = endpoint.plans(era, message, CONNECTIONS)
        return lambda seconds: measure(endpoint.port, plans, check, seconds)

    return prepare


def guarded(era: Era) -> Callable[[Site], Sampler]:
    """Echo with a key, scopes, limits and audit; anonymous and without these for the baseline."""

    def prepare(site: Site) -> Sampler:
        endpoint = site.guarded() if site.contender.is_product else site.http()
        plans = endpoint.plans(era, call(era, "echo"), CONNECTIONS)
        return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)

    return prepare


def guarded_and_observed(era: Era) -> Callable[[Site], Sampler]:
    """Echo with a key, scopes, limits, audit, metrics and a tenth of the traces."""

    def prepare(site: Site) -> Sampler:
        endpoint = site.guarded(sample_ratio=0.1) if site.contender.is_product else site.http()
        plans = endpoint.plans(era, call(era, "echo"), CONNECTIONS)
        return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)

    return prepare


def observed(collector: Collector, sample_ratio: float) -> Callable[[Site], Sampler]:
    """Echo with traces and metrics exported to a collector; without telemetry for the baseline."""

    def prepare(site: Site) -> Sampler:
        endpoint = site.observed(collector, sample_ratio) if site.contender.is_product else site.http()
        plans = endpoint.plans(Era.STATELESS, call(Era.STATELESS, "echo"), CONNECTIONS)
        if collector is not Collector.TAKES and site.contender.is_product:
            calls = 0.0
            while calls < QUEUE_CALLS:
                calls += measure(endpoint.port, plans, check_echo, 1.0).figure
        return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)

    return prepare


def call_among_many(era: Era) -> Callable[[Site], Sampler]:
    """A call of one of 10,000 registered tools; of 10 for the baseline."""

    def prepare(site: Site) -> Sampler:
        endpoint = site.http(tools=10_000 if site.contender.is_product else 10, plugins=Plugins.MANY_TOOLS)
        plans = endpoint.plans(era, call(era, "tool_00005"), CONNECTIONS)
        return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)

    return prepare


def shop(site: Site) -> Sampler:
    """Visitors of the shop: a session for each call of a tool over Redis and an HTTP API."""
    endpoint = site.shop()
    return lambda seconds: measure_shop(endpoint, seconds)


def list_of_1000(era: Era) -> Callable[[Site], Sampler]:
    """The list of 1,000 tools on one page."""

    def check(body: bytes, number: int) -> None:
        check_list(parse(body), number, at_least=1_000)

    def prepare(site: Site) -> Sampler:
        endpoint = site.http(tools=1_000, plugins=Plugins.MANY_TOOLS)
        plans = endpoint.plans(era, list_tools(era), LIST_CONNECTIONS)
        return lambda seconds: measure(endpoint.port, plans, check, seconds)

    return prepare


def live_sessions(site: Site) -> Sampler:
    """Echo in 1,000 live sessions in turn; in one session for the baseline."""
    endpoint = site.http()
    sessions = 1_000 if site.contender.is_product else 1
    plans = endpoint.plans(Era.HANDSHAKE, call(Era.HANDSHAKE, "echo"), CONNECTIONS, sessions)
    return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)


def stdio_one_by_one(site: Site) -> Sampler:
    """Echo over stdio; each call waits for the response to the previous one."""
    client = site.stdio()
    client.initialized()
    return lambda seconds: Sample(client.one_by_one(seconds))


def stdio_pipelined(site: Site) -> Sampler:
    """2,000 echo calls written to stdin without waiting, repeatedly."""
    client = site.stdio()
    client.initialized()

    def sample(seconds: float) -> Sample:
        end = time.monotonic() + seconds
        rates = [client.pipelined(PIPELINED_CALLS)]
        while time.monotonic() < end:
            rates.append(client.pipelined(PIPELINED_CALLS))
        return Sample(len(rates) / sum(1 / rate for rate in rates))

    return sample


def start_up(*, tools: int = 0, plugins: Plugins = Plugins.NONE) -> Callable[[Site], Sampler]:
    """Time from the start of the process to the response to `initialize` over stdio."""
    return _time_to_start(lambda site: site.stdio(tools=tools, plugins=plugins))


def start_up_over_http(site: Site) -> Sampler:
    """Time from the start of the process to the response to `initialize` over HTTP."""
    return _time_to_start(Site.http)(site)


def _time_to_start(start: Callable[[Site], object]) -> Callable[[Site], Sampler]:
    def prepare(site: Site) -> Sampler:
        def sample(_seconds: float) -> Sample:
            with ExitStack() as stack:
                begin = time.perf_counter()
                start(site.another(stack))
                return Sample((time.perf_counter() - begin) * 1_000)

        return sample

    return prepare


def resident_memory(load: bool) -> Callable[[Site], Sampler]:
    """Resident memory of a fresh HTTP server after its first responses, or after some seconds of load."""

    def prepare(site: Site) -> Sampler:
        def sample(seconds: float) -> Sample:
            with ExitStack() as stack:
                endpoint, process = site.another(stack).http_process()
                if load:
                    plans = endpoint.plans(Era.HANDSHAKE, call(Era.HANDSHAKE, "echo"), CONNECTIONS)
                    measure(endpoint.port, plans, check_echo, seconds)
                return Sample(resident_mebibytes(process))

        return sample

    return prepare


def http_rows() -> Iterator[Row]:
    """Echo over HTTP: three numbers of connections, two eras."""
    everybody = (PRODUCT, BARE, PYTHON, TYPESCRIPT)
    targets = {
        1: (),
        32: (Target(BARE, 0.6), Target(PYTHON, 5), Target(TYPESCRIPT, 2.5)),
        256: (Target(BARE, 0.6), Target(PYTHON, 5), Target(TYPESCRIPT, 2.5)),
    }
    for connections, wanted in targets.items():
        for era in Era:
            title = f"HTTP echo, {connections} connection{'s' if connections > 1 else ''}, {era} era"
            prepare = echo_over_http(era, connections)
            yield Row(f"http-{connections}-{era}", title, "calls/s", everybody, wanted, prepare)


def channel_rows() -> Iterator[Row]:
    """Echo over WebSocket and HTTP+SSE, on which a connection is a session."""
    contenders = (PRODUCT, BASELINE, BARE)
    plans = ((1, Era.HANDSHAKE, ()), *((CONNECTIONS, era, (Target(BASELINE, 1),)) for era in Era))
    for connections, era, wanted in plans:
        count = f"{connections} connection{'s' if connections > 1 else ''}"
        title = f"WebSocket echo, {count}, {era} era; baseline: HTTP"
        prepare = echo_over_websocket(era, connections)
        yield Row(f"websocket-{connections}-{era}", title, "calls/s", contenders, wanted, prepare)
    title = f"HTTP+SSE echo, {CONNECTIONS} clients; baseline: HTTP"
    yield Row(f"sse-{CONNECTIONS}", title, "calls/s", (*contenders, PYTHON), (), echo_over_sse)


def era_rows() -> Iterator[Row]:
    """The other rows over HTTP in both eras."""
    ours = (PRODUCT, BASELINE)
    peers = (PRODUCT, PYTHON, TYPESCRIPT)
    for era in Era:
        title = f"HTTP answer as a stream, {era} era; baseline: as JSON"
        yield Row(f"stream-{era}", title, "calls/s", ours, (Target(BASELINE, 0.5),), streamed(era))
    for era in Era:
        title = f"HTTP echo with key, limits and audit, {era} era; baseline: without"
        yield Row(f"guarded-{era}", title, "calls/s", ours, (Target(BASELINE, 0.8),), guarded(era))
        title = f"HTTP echo with key, limits, audit, metrics and a tenth of the traces, {era} era"
        wanted = (Target(BARE, 0.45),)
        yield Row(f"guarded-observed-{era}", title, "calls/s", (PRODUCT, BARE), wanted, guarded_and_observed(era))
        title = f"Call among 10,000 tools, {era} era; baseline: 10"
        yield Row(f"tools-10000-{era}", title, "calls/s", ours, (Target(BASELINE, 0.9),), call_among_many(era))
    for name, what, collector, ratio, target in TELEMETRY:
        title = f"HTTP echo with metrics and {what}; baseline: without"
        yield Row(f"telemetry-{name}", title, "calls/s", ours, (Target(BASELINE, target),), observed(collector, ratio))
    for era in Era:
        title = f"List of 1,000 tools, {era} era"
        yield Row(f"list-1000-{era}", title, "lists/s", peers, (Target(PYTHON, 50),), list_of_1000(era))


def other_rows() -> Iterator[Row]:
    """Sessions, stdio, start-up and memory."""
    ours = (PRODUCT, BASELINE)
    peers = (PRODUCT, PYTHON, TYPESCRIPT)
    everybody = (PRODUCT, BARE, PYTHON, TYPESCRIPT)
    title = f"Three tools over Redis and an HTTP API, {VISITORS} clients, a session for each call"
    yield Row("shop", title, "requests/s", peers, (Target(PYTHON, 4), Target(TYPESCRIPT, 2)), shop)
    title = "HTTP echo round 1,000 live sessions; baseline: one"
    yield Row("sessions-1000", title, "calls/s", ours, (Target(BASELINE, 0.9),), live_sessions)
    one_by_one = (Target(PYTHON, 2), Target(TYPESCRIPT, 0.95))
    pipelined = (Target(PYTHON, 8), Target(TYPESCRIPT, 1))
    yield Row("stdio-one-by-one", "stdio echo, one by one", "calls/s", peers, one_by_one, stdio_one_by_one)
    yield Row("stdio-pipelined", "stdio echo, 2,000 pipelined", "calls/s", peers, pipelined, stdio_pipelined)
    title, wanted = "Start-up to the first answer", (Target(PYTHON, 0.5, at_least=False),)
    yield Row("start-up", f"{title} (stdio)", "ms", peers, wanted, start_up())
    yield Row("start-up-http", f"{title} (HTTP)", "ms", everybody, (), start_up_over_http)
    yield Row(
        "start-up-plugin", f"{title} with a plugin (stdio)", "ms", (PRODUCT,), (), start_up(plugins=Plugins.FLOOD)
    )
    many = start_up(tools=START_TOOLS, plugins=Plugins.MANY_TOOLS)
    yield Row("start-up-tools", f"{title} with {START_TOOLS} tools (stdio)", "ms", peers, (), many)
    for when, load in (("start", False), ("load", True)):
        title, prepare = f"Resident memory after {when} (HTTP)", resident_memory(load)
        least = () if load else (Target(PYTHON, 0.85, at_least=False),)
        yield Row(f"memory-{when}", title, "MiB", everybody, least, prepare, warm_up=False, rounds_at_most=1)


def all_rows() -> list[Row]:
    """Every row, in the order of the table."""
    return [*http_rows(), *channel_rows(), *era_rows(), *other_rows(), *state_rows(), *file_rows()]
