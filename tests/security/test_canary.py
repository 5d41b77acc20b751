"""Canary secrets in every place where a client or owner can put one: none leaks."""

import json
from pathlib import Path

import httpx

from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.messages_api import messages_api
from tests.support.otlp_receiver import otlp_receiver
from tests.support.processes import PROJECT, http_server
from tests.support.websocket_conversation import websocket

CANARY = "canary-7f3d91c2"
"""Part of every planted secret."""


def planted(where: str) -> str:
    return f"{CANARY}-{where}-{'x' * 32}"


def test_no_secret_comes_out_anywhere(tmp_path: Path) -> None:
    with messages_api(planted("claude key")) as api, otlp_receiver() as receiver:
        (tmp_path / "root").mkdir()
        configuration = {
            "mcp": {"state_key": planted("state key"), "plugins": ["tests.support.plugins.reports"]},
            "claude": {"api_key": planted("claude key"), "base_url": f"http://user:{planted('url')}@127.0.0.1:1"},
            "files": {"roots": [str(tmp_path / "root")]},
            "logging": {"level": "debug", "format": "json"},
            "security": {
                "require_key": True,
                "keys_file": str(tmp_path / "keys.json"),
                "key_pepper": planted("pepper"),
                "audit_file": str(tmp_path / "audit.jsonl"),
            },
            "limits": {"wrong_credentials_per_minute": 100_000},
            "telemetry": {
                "endpoint": receiver.url("http/protobuf"),
                "logs": True,
                "prometheus": True,
                "api_key_id": planted("platform id"),
                "api_key_secret": planted("platform secret"),
            },
        }
        assert api.url
        (tmp_path / "tfo-mcp.yaml").write_text(json.dumps(configuration))
        variables = {"PYTHONPATH": str(PROJECT), "MY_SECRET": planted("environment")}
        with http_server(tmp_path / "tfo-mcp.yaml", variables=variables) as server:
            gate = Guarded(server, tmp_path)
            key = gate.key("admin")
            answered, session_id = _everything_that_is_answered(gate, key)
            seen = [answered]
            log = server.child.stderr()
            seen.append(httpx.get(f"{server.origin}/metrics").text)
        sinks = {
            "spans": repr(receiver.spans),
            "metrics": repr(receiver.points),
            "log records": repr(receiver.logs),
            "answers": "".join(seen),
            "log": log,
            "audit": (tmp_path / "audit.jsonl").read_text(),
            "keys": (tmp_path / "keys.json").read_text(),
        }
    for name, sink in sinks.items():
        assert len(sink) > 100, name
        for secret in (CANARY, key, key.split("_")[2], session_id):
            assert secret not in sink, (name, sink[max(0, sink.find(secret) - 200) :][:400])


def _everything_that_is_answered(gate: Guarded, key: str) -> tuple[str, str]:
    """Send valid and invalid requests with secrets in every place; return all responses and a session id."""
    secrets = {"X-Secret": planted("header"), "Cookie": planted("cookie"), "User-Agent": planted("agent")}
    answers: list[str] = []
    for credential in (planted("bearer"), f"tfo_{planted('key')}", key):
        with gate.client(credential, **secrets) as client:
            for path in (f"/mcp?token={planted('query')}", f"/sse?x={planted('query')}", f"/{planted('path')}"):
                with client.stream("GET", path) as answer:
                    answers.append(str(answer.headers))
            message = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
            answers.append(client.post("/mcp", json=message).text)
    with gate.client(key, **secrets) as client:
        session = {"Mcp-Session-Id": gate.session(client)}
        for method, params in (
            ("resources/read", {"uri": "config://server"}),
            ("resources/read", {"uri": "status://health"}),
            ("tools/call", {"name": "system_info", "arguments": {}}),
            ("tools/call", {"name": "execute_command", "arguments": {"command": "env; cat /proc/*/environ"}}),
            ("tools/call", {"name": "write_file", "arguments": {"path": "x", "content": planted("argument")}}),
            ("tools/call", {"name": "write_file", "arguments": {"path": "x", "secret": planted("argument")}}),
            ("tools/call", {"name": "speak_and_fail", "arguments": {}}),
            ("tools/call", {"name": "claude_conversation", "arguments": {"message": "hi"}}),
            ("tools/call", {"name": "echo", "arguments": {"message": [planted("argument")]}}),
            ("tools/list", {"cursor": planted("cursor")}),
        ):
            answer = client.post("/mcp", json=request(2, method, params), headers=session)
            answers.append(answer.text.replace(planted("argument"), ""))  # an error may quote the client
        answers.append(client.get("/healthz").text)
        answers.append(client.delete("/mcp", headers=session).text)
        log = gate.server.child.stderr()
        assert session["Mcp-Session-Id"] not in log
    with websocket(gate.server, additional_headers={"X-API-Key": key, **secrets}) as connection:
        connection.send(json.dumps(request(1, planted("method"), {})))
        answers.append(str(connection.recv(5)).replace(planted("method"), ""))
    return "".join(answers), session["Mcp-Session-Id"]


def test_the_canary_would_be_seen(tmp_path: Path) -> None:
    """This control proves that the search above works: it finds secrets that are stored on purpose."""
    with guarded(tmp_path) as gate:
        assert gate.key(name=CANARY)
        assert CANARY in (tmp_path / "keys.json").read_text()
        assert CANARY in (tmp_path / "audit.jsonl").read_text()
