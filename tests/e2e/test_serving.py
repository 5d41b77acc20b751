"""`tfo-mcp serve`: the sources of its settings, its messages at start, and startup errors."""

import json
import os
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.deployment import DIALOGUE_CONFIG
from tests.e2e.one_run import Outcome, printed, run
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import request
from tests.support.processes import (
    LOOPBACK,
    NO_TLS,
    child,
    command,
    environment,
    free_port,
    http_server,
    stdio_child,
)
from tests.support.redis_server import redis_server
from tests.support.stdio_client import StdioClient, stdio_client

PING = json.dumps(request(1, "ping")).encode() + b"\n"
PONG = {"jsonrpc": "2.0", "id": 1, "result": {}}
ENDPOINT = r"MCP endpoint +(http://127\.0\.0\.1:\d+)/mcp"


def healthy(origin: str) -> bool:
    answer = httpx.get(f"{origin}/healthz", trust_env=False, timeout=PATIENCE, verify=NO_TLS)
    return answer.status_code == httpx.codes.OK


def test_the_configuration_chooses_the_transport_and_the_snippet_for_hosts_works(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("server: {transport: http, port: 0}\n", encoding="utf-8")
    with child(["serve", "--config", "mine.yaml"], pipes=True, directory=tmp_path) as running:
        shown = printed(running, ENDPOINT + r".*?\n(\{.*?\n\})\n.*Ctrl\+C")
        assert healthy(shown[1])
        wait_until(lambda: "hidden_tools=" in running.stderr(), "the log says how many tools are hidden")
        assert running.process.stdout is not None
        running.process.stdout.close()
    host = json.loads(shown[2])["mcpServers"]["tfo-mcp"]
    assert json.loads(host["env"]["TELEMETRYFLOW_MCP_FILES_ROOTS"]) == [str(tmp_path)]
    assert "Network callers without a key can call tools that only read" in shown[0]
    assert f"work in: {tmp_path}\n" in shown[0]
    assert "tools need a key and are hidden without one" in shown[0]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    answered = subprocess.run(
        [host["command"], *host["args"]],
        input=PING,
        capture_output=True,
        cwd=elsewhere,
        env=environment(host["env"]),
        timeout=2 * PATIENCE,
        check=True,
    )
    assert json.loads(answered.stdout) == PONG


def test_the_startup_message_of_workers_says_how_many_tools_are_hidden(tmp_path: Path) -> None:
    with redis_server() as redis:
        settings = {"server": {"transport": "http", "port": 0, "workers": 2}, "state": {"url": redis.url}}
        (tmp_path / "tfo-mcp.yaml").write_text(json.dumps(settings), encoding="utf-8")
        with child(["serve"], pipes=True, directory=tmp_path) as running:
            shown = printed(running, r"(\d+) tools need a key and are hidden without one.*Ctrl\+C")
            wait_until(lambda: f"hidden_tools={shown[1]}" in running.stderr(), "the log says it as well")
            assert running.process.stdout is not None
            running.process.stdout.close()


def test_where_nothing_is_served_the_snippet_has_a_place_for_a_root() -> None:
    with child(["serve", "--transport", "http", "--port", "0"], pipes=True, directory=Path("/")) as running:
        shown = printed(running, ENDPOINT + r".*?\n(\{.*?\n\})\n.*Ctrl\+C")
        assert running.process.stdout is not None
        running.process.stdout.close()
    assert "There are no file tools and no commands: name a directory" in shown[0]
    roots = json.loads(json.loads(shown[2])["mcpServers"]["tfo-mcp"]["env"]["TELEMETRYFLOW_MCP_FILES_ROOTS"])
    assert (len(roots), Path(roots[0]).exists()) == (1, False)


def test_stdio_is_the_default_transport(tmp_path: Path) -> None:
    with child(["serve"], pipes=True, directory=tmp_path) as running:
        client = StdioClient(running)
        assert client.call("ping") == PONG
        client.close_input()
        assert running.wait() == 0
        assert client.rest() == ()


def test_the_environment_sets_port_and_transport() -> None:
    port = free_port()
    variables = {
        "TELEMETRYFLOW_MCP_SERVER_TRANSPORT": "http",
        "TELEMETRYFLOW_MCP_SERVER_PORT": str(port),
    }
    with child(["serve"], pipes=True, variables=variables) as running:
        origin = printed(running, ENDPOINT)[1]
        assert origin == f"http://{LOOPBACK}:{port}"
        assert healthy(origin)
        assert running.process.stdout is not None
        running.process.stdout.close()


def test_options_win_over_the_file_and_the_environment() -> None:
    file = {"server": {"transport": "stdio", "host": "192.0.2.1", "port": 1}}
    variables = {"TELEMETRYFLOW_MCP_SERVER_PORT": "2"}
    with http_server(file, variables=variables) as server:
        assert healthy(server.origin)


def test_the_log_level_can_be_chosen() -> None:
    logs: dict[str, str] = {}
    for level in ("info", "warning"):
        with stdio_client(arguments=["--log-level", level]) as client:
            client.call("ping")
            client.close_input()
            client.child.wait()
            logs[level] = client.child.stderr()
    assert "method=ping" in logs["info"]
    assert logs["warning"] == ""


def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        outcome = run("serve", "--transport", "http", "--port", port, directory=tmp_path)
    assert "in use" in outcome.only_complaint
    assert f"{LOOPBACK}:{port}" in outcome.only_complaint
    assert "server.port" in outcome.only_complaint


def test_without_httptools_the_log_says_that_connections_have_no_limits(tmp_path: Path) -> None:
    (tmp_path / "httptools.py").write_text("raise ImportError('not for this platform')\n", encoding="utf-8")
    with http_server(variables={"PYTHONPATH": str(tmp_path)}, become=list) as server:  # a forked one has imported it
        assert healthy(server.origin)
        wait_until(lambda: "connections have no limits" in server.child.stderr(), "the log says so")
    with http_server() as server:
        assert healthy(server.origin)
        server.child.stop()
        assert "connections have no limits" not in server.child.stderr()


def test_another_version_of_uvicorn_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import uvicorn.protocols.http.httptools_impl as private\ndel private.RequestResponseCycle\n", encoding="utf-8"
    )
    line = [*command(), "serve", "--transport", "http"]  # an interpreter of its own: a forked one has uvicorn already
    variables = environment({"PYTHONPATH": str(tmp_path)})
    ended = subprocess.run(
        line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=6 * PATIENCE, check=False
    )
    complaint = Outcome(ended.returncode, ended.stdout, ended.stderr).only_complaint
    assert "uvicorn" in complaint
    assert "install the version" in complaint


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_plugin_that_fails_to_import_is_one_clear_error(tmp_path: Path, transport: str) -> None:
    (tmp_path / "broken_plugin.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    (tmp_path / "tfo-mcp.yaml").write_text("mcp: {plugins: [broken_plugin]}\n", encoding="utf-8")
    complaint = run("serve", "--transport", transport, directory=tmp_path).only_complaint
    assert "broken_plugin" in complaint
    assert "nothing_of_that_name" in complaint


def test_standard_output_carries_messages_only(tmp_path: Path) -> None:
    with stdio_client(DIALOGUE_CONFIG, directory=tmp_path) as client:
        client.handshake()
        result = client.call("tools/call", {"name": "chatter", "arguments": {}})["result"]
        assert result["content"] == [{"type": "text", "text": "quiet"}]
        client.close_input()
        assert client.rest() == ()  # the client treats any line that is not JSON as an error
        for noise in ("printed", "written", "to the original stream", "to the descriptor"):
            assert noise in client.child.stderr()


def test_a_file_can_be_standard_input_and_output(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(PING)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        serve_to_the_end(source.fileno(), sink.fileno(), tmp_path)
    assert json.loads((tmp_path / "out").read_bytes()) == PONG


def test_the_null_device_can_be_standard_input_and_output(tmp_path: Path) -> None:
    with open(os.devnull, "r+b", buffering=0) as nothing:
        serve_to_the_end(nothing.fileno(), nothing.fileno(), tmp_path)


def test_one_socket_can_be_both_standard_input_and_output(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE / 2)
    with ours, theirs:
        process = subprocess.Popen(
            [*command(), "serve", "--log-level", "error"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            cwd=tmp_path,
            env=environment(),
        )
        try:
            theirs.close()
            ours.sendall(PING)
            assert json.loads(ours.recv(65536)) == PONG
            ours.shutdown(socket.SHUT_WR)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


def test_a_host_that_stops_reading_leaves_no_trace_in_the_log() -> None:
    with stdio_child(arguments=["--log-level", "warning"]) as running:
        assert running.process.stdout is not None
        assert running.process.stdin is not None
        running.process.stdout.close()
        running.process.stdin.write(PING * 2)
        running.process.stdin.close()
        assert running.wait() == 0
        assert running.stderr() == ""


def serve_to_the_end(source: int, sink: int, directory: Path) -> None:
    ended = subprocess.run(
        [*command(), "serve"],
        stdin=source,
        stdout=sink,
        stderr=subprocess.PIPE,
        cwd=directory,
        env=environment(),
        timeout=2 * PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
