"""GET /metrics: a real Prometheus scrapes it and answers queries about calls; no client data becomes a label."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, initialize_params, request
from tests.support.http_client import HEADERS
from tests.support.http_conversation import HttpConversation
from tests.support.processes import NO_TLS, HttpServer, http_server
from tests.support.prometheus import prometheus

CALLS = 7
DURATION = "mcp_server_operation_duration_seconds"


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server({"telemetry": {"prometheus": True}, "security": {"anonymous": "all"}}) as running:
        yield running


def exposition(server: HttpServer) -> str:
    answer = httpx.get(f"{server.origin}/metrics", timeout=PATIENCE, verify=NO_TLS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


def test_prometheus_reads_it_and_answers_a_query(server: HttpServer, tmp_path: Path) -> None:
    with closing(HttpConversation(server, STATELESS)) as conversation:
        for _ in range(CALLS):
            conversation.text("echo", {"message": "counted"})
        conversation.tool("read_file", {"path": "no-such-file"})
    with prometheus(tmp_path, server.port) as running:
        echo = f'{DURATION}_count{{gen_ai_tool_name="echo", mcp_method_name="tools/call", error_type=""}}'
        (sample,) = running.wait_for(f"sum({echo}) == {CALLS}")
        assert sample.value == CALLS
        (failed,) = running.wait_for(f'{DURATION}_count{{error_type="tool_error"}}')
        assert failed.labels["gen_ai_tool_name"] == "read_file"
        (quick,) = running.wait_for(
            f'histogram_quantile(0.9, sum by (le) ({DURATION}_bucket{{gen_ai_tool_name="echo"}}))'
        )
        assert 0 < quick.value < PATIENCE
        assert [ready.value for ready in running.query("tfo_mcp_ready")] == [1]


def test_what_callers_make_up_becomes_no_label(server: HttpServer) -> None:
    with closing(HttpConversation(server, STATELESS)) as conversation:
        conversation.error("tools/call", {"name": "made-up-tool"})
        conversation.error("prompts/get", {"name": "made-up-prompt"})
        conversation.error("resources/read", {"uri": "made-up:resource"})
        conversation.error("made-up/method")
        conversation.tool("read_file", {"path": "made-up-path"})
        conversation.tool("claude_conversation", {"message": "hello", "model": "made-up-model"})
    opening = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
    session_id = httpx.post(server.url, json=opening, headers=HEADERS, verify=NO_TLS).headers["mcp-session-id"]
    shown = exposition(server)
    assert session_id not in shown
    assert "made-up" not in shown
    assert f'{DURATION}_count{{error_type="-32602"' in shown


def test_it_is_not_shown_unless_it_is_asked_for() -> None:
    with http_server() as plain:
        answer = httpx.get(f"{plain.origin}/metrics", verify=NO_TLS)
    assert (answer.status_code, "telemetry.prometheus" in answer.text) == (404, True)


def test_whoever_asks_by_the_servers_own_address_needs_no_setting(tmp_path: Path) -> None:
    """The kubelet and Prometheus do so. A DNS name of the same address is refused."""
    with http_server({"telemetry": {"prometheus": True}}, arguments=["--host", "0.0.0.0"]) as server:
        own, another = f"127.0.0.7:{server.port}", f"127.0.0.8:{server.port}"
        for path, expected in (("/readyz", 200), ("/metrics", 200), ("/mcp", 401)):
            ask = partial(httpx.request, "POST" if path == "/mcp" else "GET", f"http://{own}{path}", verify=NO_TLS)
            assert ask().status_code == expected
            assert ask(headers={"Host": another}).status_code == 403
            assert ask(headers={"Host": "evil.example"}).status_code == 403
            assert ask(headers={"Origin": f"http://{own}"}).status_code == expected
            assert ask(headers={"Origin": f"http://{another}"}).status_code == 403
