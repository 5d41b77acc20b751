"""The path of a new user: start the server, run an instrumented program, ask "what is slow?" with three calls.

The program uses OpenTelemetry's SDK with the lines that the server printed; the client is the official Python client.
"""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.official_client import loopback_client, text_of
from tests.support.deadlines import PATIENCE
from tests.support.processes import command, environment, http_server
from tests.support.telemetry_stores import RunningStore, telemetry_store

pytestmark = pytest.mark.anyio

PROGRAM = """
import time
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("shop")
now = time.time_ns()
ms = 1_000_000
with tracer.start_as_current_span("GET /cart", kind=trace.SpanKind.SERVER, start_time=now, end_on_exit=False) as root:
    for item in range(30):
        at = now + item * 10 * ms
        query = tracer.start_span("SELECT price", kind=trace.SpanKind.CLIENT, start_time=at, attributes={
            "db.system": "postgresql", "db.query.text": f"SELECT price FROM item WHERE id = {item}"})
        query.end(at + 9 * ms)
root.end(now + 305 * ms)
provider.shutdown()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with telemetry_store() as running:
        yield running


def variables(store: RunningStore) -> dict[str, str]:
    return {"XDG_STATE_HOME": os.fspath(store.home), "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}


@asynccontextmanager
async def client_over(transport: str, store: RunningStore, directory: Path) -> AsyncIterator[Client]:
    """Yield the official client, connected to a server that uses the store."""
    if transport == "stdio":
        executable, *arguments = command()
        whole = environment(variables(store))
        parameters = StdioServerParameters(
            command=executable, args=[*arguments, "serve", "--transport", "stdio"], env=whole, cwd=directory
        )
        with (directory / "stderr").open("w") as errors:
            async with Client(stdio_client(parameters, errlog=errors), read_timeout_seconds=PATIENCE) as client:
                yield client
        return
    with http_server(variables=variables(store)) as server:
        async with (
            loopback_client() as http,
            Client(
                streamable_http_client(f"{server.origin}/mcp", http_client=http), read_timeout_seconds=PATIENCE
            ) as client,
        ):
            yield client


def run_program(lines: str, service: str) -> None:
    """Run the sample program with the environment lines of an answer."""
    shown = dict(re.findall(r"export (OTEL_\w+)=(\S+)", lines))
    whole = {**environment(), **shown, "OTEL_SERVICE_NAME": service}
    line = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(line, env=whole, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


async def ask(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return text_of(result)


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_three_calls_say_what_is_slow_and_why(transport: str, store: RunningStore, tmp_path: Path) -> None:
    async with client_over(transport, store, tmp_path) as client:
        if transport == "stdio":
            lines = await ask(client, "telemetry_overview")
            assert re.match(r"No telemetry is stored yet.|.*Only this server's own telemetry is here", lines, re.DOTALL)
        else:
            lines = f"export OTEL_EXPORTER_OTLP_ENDPOINT={store.http}"
        service = f"shop-{transport}"
        run_program(lines, service)
        overview = await ask(client, "telemetry_overview", service=service)
        assert f"{service}," in overview
        slowest = await ask(client, "search_traces", where=f'service.name = "{service}"')
        assert "GET /cart" in slowest
        trace_id = re.findall(r"\b[0-9a-f]{32}\b", slowest)[0]
        answer = await ask(client, "get_trace", trace_id=trace_id)
        assert "N+1: 30 calls one after the other of SELECT price below GET /cart" in answer
        assert "SELECT price FROM item WHERE id = <*>" in answer
