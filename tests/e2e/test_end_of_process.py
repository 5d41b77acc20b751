"""The end of `tfo-mcp serve`: on SIGTERM, SIGINT and, on stdio, end of input it exits with 0 within a second.

On stdio it ends with its parent, too.
"""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.e2e.deployment import DIALOGUE_CONFIG
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject, request
from tests.support.http_client import Session, http_client
from tests.support.processes import NO_TLS, Child, command, environment, http_server
from tests.support.stdio_client import StdioClient, stdio_client

SOON = 1.0  # seconds in which the process must exit

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
RUNNING = pytest.mark.parametrize("tool", ["wait_here", "get_stuck"])


def start(client: StdioClient, tool: str, folder: Path) -> None:
    client.handshake()
    client.start("tools/call", {"name": tool, "arguments": {"folder": str(folder)}})
    wait_until((folder / "started").exists, "the tool has started")


def ends_soon(child: Child) -> None:
    try:
        assert child.wait(SOON) == 0
    finally:
        child.process.kill()
    assert "Traceback" not in child.stderr()


@SIGNALS
def test_a_signal_ends_stdio_after_the_answers_are_out(number: signal.Signals, tmp_path: Path) -> None:
    with stdio_client(DIALOGUE_CONFIG, directory=tmp_path) as client:
        client.handshake()
        client.call("tools/call", {"name": "echo", "arguments": {"message": "out"}})
        client.child.process.send_signal(number)
        ends_soon(client.child)
        assert client.rest() == ()


@RUNNING
def test_a_signal_ends_stdio_while_a_tool_runs(tool: str, tmp_path: Path) -> None:
    with stdio_client(DIALOGUE_CONFIG, directory=tmp_path) as client:
        start(client, tool, tmp_path)
        client.child.process.terminate()
        ends_soon(client.child)


@RUNNING
def test_the_end_of_the_input_ends_stdio_while_a_tool_runs(tool: str, tmp_path: Path) -> None:
    with stdio_client(DIALOGUE_CONFIG, directory=tmp_path) as client:
        start(client, tool, tmp_path)
        client.close_input()
        ends_soon(client.child)


def test_the_end_of_the_input_lets_every_answer_out(tmp_path: Path) -> None:
    with stdio_client(DIALOGUE_CONFIG, directory=tmp_path) as client:
        client.handshake()
        wanted = {client.start("tools/call", {"name": "echo", "arguments": {"message": str(n)}}) for n in range(200)}
        client.close_input()
        answered = client.rest()
        assert {reply["id"] for reply in answered} == wanted
        assert len(answered) == len(wanted)
        assert client.child.wait() == 0


@SIGNALS
def test_a_signal_ends_http_with_streams_open(number: signal.Signals, tmp_path: Path) -> None:
    with http_server(DIALOGUE_CONFIG, directory=tmp_path) as server, http_client(server.url) as client:
        session = client.handshake(LATEST_HANDSHAKE)
        message, headers = client.stateless_request(
            "subscriptions/listen", {"notifications": {"toolsListChanged": True}}
        )
        with session.listen() as own, client.stream("POST", message, headers) as changes:
            own.next_event()
            assert changes.next_message()["method"] == "notifications/subscriptions/acknowledged"
            server.child.process.send_signal(number)
            ends_soon(server.child)
            last = changes.reply(message["id"])
            assert last["result"]["resultType"] == "complete"
            own.rest()
            assert not own.broken
            assert not changes.broken


@RUNNING
def test_a_second_signal_ends_http_at_once_while_a_tool_runs(tool: str, tmp_path: Path) -> None:
    with http_server(DIALOGUE_CONFIG, directory=tmp_path) as server, http_client(server.url) as client:
        session = client.handshake()
        call = session.request("tools/call", {"name": tool, "arguments": {"folder": str(tmp_path)}})
        calling = Thread(target=post_to_nowhere, args=(session, call), daemon=True)
        calling.start()
        wait_until((tmp_path / "started").exists, "the tool has started")
        server.child.process.send_signal(signal.SIGINT)
        wait_until(lambda: httpx.get(f"{server.origin}/readyz", verify=NO_TLS).status_code == 503, "the server drains")
        server.child.process.send_signal(signal.SIGINT)
        try:
            assert server.child.wait(SOON) == 128 + signal.SIGINT
        finally:
            server.child.process.kill()
        calling.join(PATIENCE)


def post_to_nowhere(session: Session, message: JsonObject) -> None:
    with suppress(httpx.TransportError):  # the server exits meanwhile
        session.post(message)


HOST = """
import subprocess, sys
server = subprocess.Popen(sys.argv[1:])
print(server.pid, file=sys.stderr, flush=True)
server.wait()
"""


def test_stdio_ends_with_its_parent_while_another_process_holds_its_input(tmp_path: Path) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, *command(), "serve", "--transport", "stdio"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert host.stdin is not None
    assert host.stdout is not None
    assert host.stderr is not None
    with host, os.fdopen(os.pidfd_open(int(host.stderr.readline()))) as server:
        host.stdin.write(json.dumps(request(1, "ping")).encode() + b"\n")
        host.stdin.flush()
        assert json.loads(host.stdout.readline())["id"] == 1
        assert not select.select([server], [], [], 0)[0]
        host.kill()
        ended, _, _ = select.select([server], [], [], PATIENCE)
        assert ended, "the server still runs"
