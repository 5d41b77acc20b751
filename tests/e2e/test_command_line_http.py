"""`--url`: names of any script reach the server, and what cannot be used is said in one line."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.one_run import Outcome, run, run_together
from tests.support.processes import LOOPBACK, http_server

ROUTED = """
from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import tool

def header(name: str):
    return Field(json_schema_extra={"x-mcp-header": name})

@tool
def route(
    region: Annotated[str, header("Region")],
    shard: Annotated[int, header("Shard")] = 0,
    dry: Annotated[bool, header("Dry")] = True,
) -> str:
    return f"{region} {shard} {dry}"
"""
TEXT = {"type": "text", "text": "one\u2028two"}
RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": [TEXT]}}
JSON, EVENTS = "application/json", "text/event-stream"


@contextmanager
def answering(kind: str, body: str) -> Iterator[str]:
    """Run a server that answers every request alike; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def is_one_line(outcome: Outcome, said: str) -> None:
    assert (outcome.code, outcome.stdout) == (1, ""), outcome
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("tfo-mcp: ")
    assert said in line


def test_names_of_any_script_are_used_on_a_server(tmp_path: Path) -> None:
    (tmp_path / "ü.txt").write_text("content")
    with http_server(directory=tmp_path) as server:
        read, called, asked, no_utf8 = run_together(
            [
                ["read", f"file://{tmp_path}/ü.txt", "--url", server.url],
                ["call", "größe", "--url", server.url],
                ["prompt", " x ", "--url", server.url],
                ["call", "\udcff", "--url", server.url],
            ],
            directory=tmp_path,
        )
    assert read.result == "content\n"
    is_one_line(called, "größe")
    is_one_line(asked, " x ")
    is_one_line(no_utf8, "UTF-8")


def test_arguments_that_a_tool_wants_as_headers_are_sent_as_headers(tmp_path: Path) -> None:
    (tmp_path / "routed.py").write_text(ROUTED)
    settings = tmp_path / "tfo-mcp.yaml"
    settings.write_text("{mcp: {plugins: [routed]}, security: {anonymous: all}}")
    with http_server(settings) as server:
        for arguments, shown in [
            (["region=eu-1", "shard=7", "dry=true"], "eu-1 7 True"),
            (['{"region": " größe ", "dry": false, "shard": 0}'], " größe  0 False"),
            (["region==?base64?"], "=?base64? 0 True"),
        ]:
            called = run("call", "route", *arguments, "--url", server.url, directory=tmp_path)
            assert called.result == f"{shown}\n", called


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:port/mcp"])
def test_an_address_that_is_none_is_said_in_one_line(tmp_path: Path, url: str) -> None:
    for line in (["list", "tools"], ["call", "echo"], ["read", "status://health"], ["prompt", "code_review"]):
        is_one_line(run(*line, "--url", url, directory=tmp_path), "http://127.0.0.1:8080/mcp")


@pytest.mark.parametrize("key", ["ü", "two words", "line\nend", ""])
def test_a_key_that_is_none_is_said_in_one_line_without_the_key(tmp_path: Path, key: str) -> None:
    outcome = run("call", "echo", "message=x", "--url", "http://127.0.0.1:1/mcp", "--key", key, directory=tmp_path)
    is_one_line(outcome, "--key")
    assert not key or key not in outcome.stderr


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, "[1]"),
        (JSON, "{not json"),
        (JSON, ""),
        (JSON, "[" * 100_000),
        (JSON, '{"detail": "Not Found"}'),
        (JSON, '{"error": "no"}'),
        (JSON, '{"result": 1}'),
        (JSON, '{"result": {}}'),
        (JSON, '{"result": {"resultType": "complete", "content": {}}}'),
        (JSON, '{"result": {"resultType": "complete", "content": [{"type": "text"}]}}'),
        (JSON, '{"result": {"resultType": "complete", "contents": [{"uri": 1}], "messages": [1], "tools": [1]}}'),
        (JSON, '{"result": {"resultType": "input_required", "inputRequests": [1]}}'),
        (EVENTS, "data: {broken\n\n"),
        (EVENTS, "data: 1\n\n"),
        (EVENTS, ""),
        (EVENTS, 'data: {"result": {}'),
    ],
)
def test_an_answer_that_is_not_one_of_mcp_is_said_in_one_line(tmp_path: Path, kind: str, body: str) -> None:
    lines = [["list", "tools"], ["call", "echo", "message=x"], ["read", "status://health"], ["prompt", "code_review"]]
    with answering(kind, body) as url:
        for outcome in run_together([[*line, "--url", url] for line in lines], directory=tmp_path):
            is_one_line(outcome, "check the address after --url" if kind == JSON or "\n" in body else "ended")


def test_an_event_can_have_several_lines_and_a_text_any_separator(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {},
        {"params": 1},
        {"params": {"progress": "x"}},
        {"params": {"progress": 10**400, "message": 1}},
    ]
    notices = [{"jsonrpc": "2.0", "method": "notifications/progress", **each} for each in odd]
    events = [json.dumps(notice) for notice in notices] + [json.dumps(RESULT, indent=1, ensure_ascii=False)]
    body = "".join(
        ": comment\n" + "".join(f"data: {line}\r\n" for line in each.split("\n")) + "\r\n" for each in events
    )
    with answering(EVENTS, body) as url:
        assert run("call", "echo", "{}", "--url", url, directory=tmp_path).result == "one\u2028two\n"


def test_schemas_and_data_of_another_server_that_are_none_are_no_traceback(tmp_path: Path) -> None:
    schemas: list[dict[str, Any]] = [
        {"properties": 1, "required": 2},
        {"properties": {"a": 1, "b": {"type": 3, "anyOf": 4, "enum": 5}}},
    ]
    tools = [{"name": "echo", "inputSchema": {"type": "object", **schema}} for schema in schemas]
    listed = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public", "tools": tools}
    with answering(JSON, json.dumps({"jsonrpc": "2.0", "id": 1, "result": listed})) as url:
        assert "b?" in run("list", "tools", "--url", url, directory=tmp_path).result
    image = {"type": "image", "mimeType": "image/png", "data": "a"}
    with answering(JSON, json.dumps({**RESULT, "result": {"resultType": "complete", "content": [image]}})) as url:
        is_one_line(run("call", "echo", "{}", "--url", url, directory=tmp_path), "base64")
