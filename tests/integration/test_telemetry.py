"""Exported telemetry: the spans, metrics and logs of every transport are those of docs/telemetry.md."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from signal import SIGHUP
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.support.deadlines import PATIENCE, QUICK, wait_until
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    STATELESS,
    JsonObject,
    initialize_params,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.guarded import guarded
from tests.support.http_client import HEADERS
from tests.support.messages_api import messages_api
from tests.support.otlp_receiver import OtlpReceiver, absent_collector, otlp_receiver, silent_collector
from tests.support.processes import PROJECT, http_server, stdio_child
from tests.support.services import TRANSPORTS, Services, services
from tests.support.stdio_conversation import StdioConversation

KEY = "sk-ant-test-0123456789"
DOCUMENT = (PROJECT / "docs" / "telemetry.md").read_text()
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OUTER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BLRP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
CACHE = {"cache_read": 1, "cache_write": 1}
PRICED: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "prices": [{"model": "claude-sonnet-5-5", "date": "2026-11-01", "input": 1, "output": 10, **CACHE}],
}
VARIABLES = {**SOON, "PYTHONPATH": str(PROJECT)}
NETWORKS = {
    "stdio": {"network.transport": "pipe"},
    "unix": {"network.transport": "unix"},
    "http": {"network.transport": "tcp", "network.protocol.name": "http", "client.address": "127.0.0.1"},
    "websocket": {"network.transport": "tcp", "network.protocol.name": "websocket", "client.address": "127.0.0.1"},
    "sse": {"network.transport": "tcp", "network.protocol.name": "http", "client.address": "127.0.0.1"},
}
NO_TRACES: list[dict[str, Any]] = [
    {"traceparent": 7},
    {"traceparent": [PARENT]},
    {"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"},
    {"traceparent": PARENT.upper()},
    {"traceparent": PARENT + "-more"},
    {"traceparent": "x" * 100_000},
    {"traceparent": PARENT, "tracestate": "=" * 10_000, "baggage": "a=,=,;;" * 1000},
    {"traceparent": PARENT, "tracestate": {}, "baggage": 1},
]
PLUGINS = [f"tests.support.plugins.{name}" for name in ("held_calls", "answers")]


def table(name: str) -> list[list[str]]:
    """Return the rows of a table in docs/telemetry.md."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", DOCUMENT, re.DOTALL)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()[2:]]


def documented(name: str) -> set[str]:
    """Return the names in the first column of a table."""
    return {row[0].strip("`") for row in table(name)}


def settings(receiver: OtlpReceiver, protocol: str = "http/protobuf", **telemetry: object) -> dict[str, object]:
    return {
        "telemetry": {"endpoint": receiver.url(protocol), "protocol": protocol, "logs": True, **telemetry},
        "mcp": {"plugins": PLUGINS},
        "security": {"anonymous": "all"},
    }


@contextmanager
def served(configuration: Mapping[str, Any]) -> Iterator[httpx.Client]:
    """Yield a client of a server that exports without delay."""
    with (
        http_server(configuration, variables=VARIABLES) as server,
        httpx.Client(base_url=server.origin, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        yield running


@pytest.fixture(scope="module", params=["grpc", "http/protobuf"])
def observed(request: pytest.FixtureRequest) -> Iterator[tuple[Services, OtlpReceiver]]:
    with otlp_receiver() as receiver, services(settings(receiver, request.param), SOON) as running:
        yield running, receiver


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
def test_a_call_is_a_span_with_the_attributes_that_the_page_lists(
    observed: tuple[Services, OtlpReceiver], transport: str, revision: str
) -> None:
    running, receiver = observed
    receiver.spans.clear()
    with running.fresh(transport, revision) as conversation:
        identifier = conversation.start_tool("echo", {"message": "hello"})
        conversation.reply(identifier)
        span = receiver.named("tools/call echo", mcp_protocol_version=revision, jsonrpc_request_id=str(identifier),
                              network_transport=NETWORKS[transport]["network.transport"])  # fmt: skip
    expected = {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": revision,
        "jsonrpc.request.id": str(identifier),
        "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool",
        **NETWORKS[transport],
    }
    own = dict(span.attributes)
    assert ("mcp.session.id" in own) == (revision == LATEST_HANDSHAKE)
    own.pop("mcp.session.id", None)
    assert own.pop("enduser.id") == ("owner" if transport in ("stdio", "unix") else "anonymous")
    assert own == expected
    assert (span.kind, span.status, span.parent_id, span.scope) == ("SERVER", "UNSET", "", "tfo_mcp")
    assert span.resource["service.name"] == "tfo-mcp"
    assert span.seconds >= 0


class TestOfACall:
    def test_each_attribute_of_the_page_comes_and_no_other(self, receiver: OtlpReceiver) -> None:
        with served(settings(receiver, content=True)) as client:
            conversation = Talk(client)
            conversation.call("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
            conversation.call("tools/call", {"name": "no_such_tool"})
            conversation.call("prompts/get", {"name": "explain_code", "arguments": {"code": "x"}})
            conversation.call("resources/read", {"uri": "status://health"})
            conversation.ping_in_a_session()
            receiver.named("prompts/get explain_code")
            receiver.named("resources/read", mcp_resource_uri="status://health")
            failed = receiver.named("tools/call", error_type="-32602")
            receiver.named("ping")
        assert failed.status == "ERROR"
        assert failed.attributes["rpc.response.status_code"] == "-32602"
        assert {name for span in receiver.spans for name in span.attributes} == documented("span-attributes")

    def test_the_clients_trace_goes_on_through_the_call_into_claudes(self, receiver: OtlpReceiver) -> None:
        variables = {**SOON, "PYTHONPATH": str(PROJECT), "ANTHROPIC_API_KEY": KEY}
        with (
            messages_api(KEY) as api,
            stdio_child(
                {**settings(receiver), "claude": {**PRICED, "base_url": api.url}}, variables=variables
            ) as child,
        ):
            conversation = StdioConversation(child, STATELESS)
            meta = {"traceparent": PARENT, "tracestate": "vendor=1", "baggage": "who=me"}
            conversation.tool("claude_conversation", {"message": "hello", "temperature": 0.5}, meta=meta)
            chat = receiver.span(lambda span: span.kind == "CLIENT" and span.trace_id == TRACE, "Claude's span")
            call = receiver.named("tools/call claude_conversation", jsonrpc_request_id="1")
            conversation.close()
        assert (call.trace_id, call.parent_id, call.state) == (TRACE, "00f067aa0ba902b7", "vendor=1")
        assert chat.parent_id == call.span_id
        assert chat.name == f"chat {chat.attributes['gen_ai.request.model']}"
        assert set(chat.attributes) == documented("model-attributes") - {"error.type"}
        assert chat.attributes["gen_ai.response.finish_reasons"] == ["end_turn"]
        tokens = receiver.point("gen_ai.client.token.usage", gen_ai_token_type="output")
        assert tokens.value >= chat.attributes["gen_ai.usage.output_tokens"]
        cost = receiver.point("tfo_mcp.claude.cost", gen_ai_request_model=PRICED["model"])
        assert cost.value >= chat.attributes["tfo_mcp.claude.cost"] > 0

    def test_a_trace_in_the_http_header_is_a_link_beside_one_in_the_request(self, receiver: OtlpReceiver) -> None:
        with served(settings(receiver)) as client:
            conversation = Talk(client, traceparent=OUTER)
            linked = conversation.call("tools/list", {}, traceparent=PARENT)
            child = conversation.call("prompts/list", {})
            with_link = receiver.named("tools/list", jsonrpc_request_id=str(linked))
            with_parent = receiver.named("prompts/list", jsonrpc_request_id=str(child))
        assert (with_link.trace_id, with_link.links) == (TRACE, [(OUTER.split("-")[1], OUTER.split("-")[2])])
        assert (with_parent.trace_id, with_parent.parent_id) == (OUTER.split("-")[1], OUTER.split("-")[2])
        assert with_parent.links == []

    def test_what_the_client_does_not_want_recorded_is_not(self, receiver: OtlpReceiver) -> None:
        with served(settings(receiver)) as client:
            conversation = Talk(client)
            conversation.call("tools/list", {}, traceparent=f"00-{'a' * 32}-00f067aa0ba902b7-00")
            last = conversation.call("resources/list", {})
            receiver.named("resources/list", jsonrpc_request_id=str(last))
        assert not [span for span in receiver.spans if span.trace_id == "a" * 32]

    def test_whatever_stands_where_a_trace_should_the_call_is_served_and_becomes_a_span(
        self, receiver: OtlpReceiver
    ) -> None:
        with served(settings(receiver)) as client:
            conversation = Talk(client)
            numbers = [conversation.call("tools/list", {}, **meta) for meta in NO_TRACES]
            spans = [receiver.named("tools/list", jsonrpc_request_id=str(number)) for number in numbers]
        assert {span.parent_id for span in spans} <= {"", "00f067aa0ba902b7"}

    def test_what_is_too_long_is_cut_and_takes_no_other_span_along(self, receiver: OtlpReceiver) -> None:
        with (
            stdio_child(settings(receiver), variables=VARIABLES) as child,
            closing(StdioConversation(child, STATELESS)) as conversation,
        ):
            conversation.call("resources/read", {"uri": f"file:///{'x' * 500_000}"})  # too long to count
            conversation.call("resources/read", {"uri": f"file:///{'x' * 8_000}"})
            conversation.call("resources/read", {"uri": "file:///\x00"})
            conversation.call("ping-me" * 10_000)
            conversation.result("resources/read", {"uri": "status://health"})
            receiver.named("resources/read", mcp_resource_uri="status://health")
        uris = [span.attributes["mcp.resource.uri"] for span in receiver.spans if span.name == "resources/read"]
        assert len(uris) == 3
        assert max(map(len, uris)) < 20_000

    def test_arguments_and_results_are_on_no_span_unless_asked_for(self, receiver: OtlpReceiver) -> None:
        secret = "s3cr3t-canary"
        with served(settings(receiver)) as client:
            conversation = Talk(client)
            number = conversation.call("tools/call", {"name": "echo", "arguments": {"message": secret}})
            receiver.named("tools/call echo", jsonrpc_request_id=str(number))
        assert secret not in repr(receiver.spans) + repr(receiver.logs) + repr(receiver.points)


def test_what_only_an_export_needs_is_not_imported_at_the_start() -> None:
    late = ("google.protobuf", "opentelemetry.exporter", "opentelemetry.sdk.metrics.export")
    program = f"import sys, tfo_mcp.infrastructure.telemetry.adapter; print([n for n in {late} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_every_metric_of_the_page_comes_and_no_other(receiver: OtlpReceiver, tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "telemetry": {"endpoint": receiver.url("grpc"), "protocol": "grpc", "logs": True},
        "limits": {"calls_per_minute": 1000, "burst": 100},
        "events": {"webhooks": [{"url": "https://hooks.example/", "types": ["KeyRotated"]}]},
    }
    figures = {"input": 1, "output": 2, "cache_read": 3, "cache_write": 4}
    prices = [{"model": "claude-sonnet-5-5", "date": "2026-11-01", **figures}]
    with messages_api(KEY) as api, guarded(
        tmp_path, variables=SOON, claude={"base_url": api.url, "api_key": KEY, "prices": prices}, **sections
    ) as place:  # fmt: skip
        key = place.key("admin")
        with place.client(key) as client:
            session = place.session(client)
            client.delete("/mcp", headers={"Mcp-Session-Id": session})
        place.stateless(key, "tools/call", {"name": "claude_conversation", "arguments": {"message": "hello"}})
        place.stateless(key, "tools/call", {"name": "read_file", "arguments": {"path": "/etc/passwd"}})
        place.stateless(None, "tools/list")
        place.server.child.process.send_signal(SIGHUP)
        names = documented("metrics")
        wait_until(lambda: names <= {point.name for point in receiver.points}, "every metric has come")
        assert receiver.point("tfo_mcp.sandbox.refusals", place="files").value == 1
        assert receiver.point("tfo_mcp.authentication.decisions", decision="refused", method="none").value == 1
        assert receiver.point("tfo_mcp.reloads", outcome="applied").value == 1
        assert receiver.point("mcp.server.session.duration").counts
        assert receiver.point("tfo_mcp.ready").value == 1
    assert {point.name for point in receiver.points} == names
    labels = {
        row[0].strip("`"): (row[1].strip("`"), row[2], set(re.findall(r"`([^`]+)`", row[3])))
        for row in table("metrics")
    }
    for point in receiver.points:
        unit, kind, own = labels[point.name]
        assert (point.unit, point.kind) == (unit, kind)
        assert set(point.attributes) <= own


def test_a_log_record_has_the_ids_of_its_calls_span(receiver: OtlpReceiver) -> None:
    with (
        http_server(settings(receiver), variables=VARIABLES) as server,
        httpx.Client(base_url=server.origin) as client,
    ):
        number = Talk(client).call("tools/call", {"name": "echo", "arguments": {"message": "logged"}})
        span = receiver.named("tools/call echo", jsonrpc_request_id=str(number))
        record = receiver.log(lambda entry: entry.span_id == span.span_id, "the record of the call")
        wait_until(lambda: span.span_id in server.child.stderr(), "the line of the call")
        line = next(line for line in server.child.log_lines() if span.span_id in line)
    assert (record.body, record.severity, record.trace_id) == ("call", "INFO", span.trace_id)
    assert record.attributes["outcome"] == "ok"
    assert span.trace_id in line


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_platforms_key_is_sent_as_its_headers_and_shown_nowhere(receiver: OtlpReceiver, protocol: str) -> None:
    secret = "tfs_0123456789abcdef"
    wanted = settings(receiver, protocol, api_key_id="tfk_0123", api_key_secret=secret)
    with http_server(wanted, variables=VARIABLES) as server, httpx.Client(base_url=server.origin) as client:
        number = Talk(client).call("tools/list", {})
        receiver.named("tools/list", jsonrpc_request_id=str(number))
        shown = client.get("/healthz").text + server.child.stderr()
    keys = {(one.get("x-telemetryflow-key-id"), one.get("x-telemetryflow-key-secret")) for one in receiver.headers}
    assert keys == {("tfk_0123", secret)}
    assert secret not in shown


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("collector", [silent_collector, absent_collector])
def test_a_collector_that_is_gone_keeps_neither_calls_nor_the_end(
    collector: Callable[[], AbstractContextManager[str]], protocol: str
) -> None:
    with collector() as where:
        telemetry = {"endpoint": where, "protocol": protocol, "logs": True}
        with http_server({"telemetry": telemetry}, variables=VARIABLES) as server:
            with httpx.Client(base_url=server.origin) as client:
                conversation = Talk(client)
                began = monotonic()
                for _ in range(100):
                    conversation.call("tools/list", {})
                assert monotonic() - began < QUICK
            server.child.process.terminate()
            assert server.child.wait() == 0


class Talk:
    """Numbered HTTP requests with extra headers."""

    def __init__(self, client: httpx.Client, **headers: str) -> None:
        self._client, self._headers = client, headers
        self._numbers = count(1)

    def call(self, method: str, params: JsonObject, **meta: Any) -> int:
        """Send a stateless request with metadata, wait for the response, and return the request id."""
        number = next(self._numbers)
        message = request(number, method, stateless_params({**params, "_meta": meta}))
        headers = {**HEADERS, **stateless_headers(message), **self._headers}
        answer = self._client.post("/mcp", content=json.dumps(message), headers=headers)
        assert answer.json()["id"] == number, answer.text
        return number

    def ping_in_a_session(self) -> None:
        """Open a session and send a ping in it."""
        opening = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
        session = {
            **HEADERS,
            "Mcp-Session-Id": self._client.post("/mcp", json=opening, headers=HEADERS).headers["mcp-session-id"],
        }
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert self._client.post("/mcp", json=ready, headers=session).status_code == 202
        assert self._client.post("/mcp", json=request(2, "ping"), headers=session).json() == {
            "jsonrpc": "2.0",
            "id": 2,
            "result": {},
        }
