"""The Unix socket: its file, its clients, and its end (R41).

The tests of line framing and of all connections also run over it.
"""

import json
import os
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import FEW
from tests.e2e.one_run import run
from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import STATELESS, request, stateless_params
from tests.support.processes import UnixServer, await_socket, child, unix_server
from tests.support.services import Services, services
from tests.support.unix_conversation import UnixConversation

PING = json.dumps(request(1, "ping")).encode() + b"\n"
PONG = {"jsonrpc": "2.0", "id": 1, "result": {}}
LONGEST = 107  # bytes of a path, as the system defines it (sockaddr_un)


@pytest.fixture(scope="module")
def own(roots: Path) -> Iterator[Services]:
    with services(settings(roots)) as running:
        yield running


@pytest.fixture(scope="module")
def server(own: Services) -> UnixServer:
    return own.processes.unix_socket


@pytest.fixture(scope="module")
def neighbour(own: Services) -> Conversation:
    """A client whose connection stays open while others connect and disconnect."""
    return own.shared("unix", STATELESS)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="tfo-") as temporary:
        yield Path(temporary)


def said(path: Path, *raw: bytes) -> list[dict[str, Any]]:
    """Connect, send bytes, close the sending side, and return the messages until the server closes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        connection.sendall(b"".join(raw))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as lines:
            return [json.loads(line) for line in lines]


def refusal(path: Path, directory: Path) -> str:
    """Return the only error line of a server that refuses a path."""
    return run("serve", "--transport", "unix", "--path", path, directory=directory).only_complaint


# The file


def test_only_its_owner_may_open_the_socket_from_the_first_moment(folder: Path) -> None:
    """The file never has another mode, whatever umask the process inherits."""
    path = folder / "s"
    modes: set[int] = set()
    serving = threading.Event()

    def watch() -> None:
        while not serving.is_set():
            try:
                modes.add(stat.S_IMODE(path.lstat().st_mode))
            except FileNotFoundError:
                continue

    watching = threading.Thread(target=watch, name="watcher")
    before = os.umask(0)
    try:
        watching.start()
        with unix_server(path=path):
            serving.set()
            watching.join()
            modes.add(stat.S_IMODE(path.lstat().st_mode))
    finally:
        os.umask(before)
        serving.set()
    assert modes == {0o600}


def test_a_socket_that_a_killed_server_left_behind_is_replaced(folder: Path) -> None:
    path = folder / "s"
    with unix_server(path=path) as first:
        first.child.process.kill()
        first.child.wait()
    assert stat.S_ISSOCK(path.lstat().st_mode)
    with unix_server(path=path):
        assert said(path, PING) == [PONG]


def test_a_socket_in_use_is_refused_and_its_server_serves_on(server: UnixServer, tmp_path: Path) -> None:
    complaint = refusal(server.path, tmp_path)
    assert str(server.path) in complaint
    assert "another process listens there" in complaint
    assert "server.socket_path" in complaint
    assert said(server.path, PING) == [PONG]


def test_a_regular_file_is_refused_and_left_alone(folder: Path) -> None:
    path = folder / "s"
    path.write_text("precious")
    complaint = refusal(path, folder)
    assert str(path) in complaint
    assert "is no socket" in complaint
    assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", ["directory", "link to a socket", "link to nothing", "pipe"])
def test_anything_else_that_is_no_socket_is_refused_and_left_alone(server: UnixServer, folder: Path, kind: str) -> None:
    path = folder / "s"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(server.path if kind == "link to a socket" else folder / "nowhere")
    before = path.lstat()
    assert "is no socket" in refusal(path, folder)
    assert path.lstat().st_ino == before.st_ino
    assert said(server.path, PING) == [PONG]


def test_a_missing_directory_is_one_clear_error(folder: Path) -> None:
    path = folder / "missing" / "s"
    complaint = refusal(path, folder)
    assert f"{path}: No such file or directory" in complaint
    assert "server.socket_path" in complaint


def test_the_longest_path_is_served_and_a_longer_one_is_one_clear_error(folder: Path) -> None:
    room = LONGEST - len(str(folder)) - 1
    with unix_server(path=folder / ("s" * room)) as longest:
        assert said(longest.path, PING) == [PONG]
    complaint = refusal(folder / ("s" * (room + 1)), folder)
    assert "too long" in complaint
    assert "server.socket_path" in complaint


def test_a_path_is_asked_for_where_none_is_given(tmp_path: Path) -> None:
    complaint = run("serve", "--transport", "unix", directory=tmp_path).only_complaint
    assert "--path" in complaint
    assert "server.socket_path" in complaint


def test_the_path_may_be_configured_and_relative(folder: Path) -> None:
    variables = {"TELEMETRYFLOW_MCP_SERVER_SOCKET_PATH": "configured"}
    with child(["serve", "--transport", "unix"], directory=folder, variables=variables) as running:
        await_socket(running, folder / "configured")
        assert said(folder / "configured", PING) == [PONG]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_file_is_removed_at_the_end(folder: Path, number: signal.Signals) -> None:
    with unix_server(path=folder / "s") as server:
        server.child.process.send_signal(number)
        assert server.child.wait() == 0
        assert list(folder.iterdir()) == []
        assert "Traceback" not in server.child.stderr()


def test_a_file_that_somebody_else_has_put_there_meanwhile_is_left_alone(folder: Path) -> None:
    with unix_server(path=folder / "s") as first:
        first.path.unlink()
        with unix_server(path=folder / "s") as second:
            first.child.process.terminate()
            assert first.child.wait() == 0
            assert said(second.path, PING) == [PONG]


# Clients


def test_many_clients_are_served_at_once(server: UnixServer) -> None:
    connections = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    try:
        for connection in connections:
            connection.settimeout(PATIENCE)
            connection.connect(str(server.path))
        for connection in connections:
            connection.sendall(PING)
        for connection in reversed(connections):
            assert json.loads(connection.recv(65536)) == PONG
    finally:
        for connection in connections:
            connection.close()


def test_a_client_that_sends_nothing_more_still_gets_its_answers(server: UnixServer) -> None:
    calls = []
    for number in range(50):
        params = stateless_params({"name": "long_text", "arguments": {"length": 20_000 + number}})
        calls.append(json.dumps(request(number, "tools/call", params)).encode() + b"\n")
    replies = said(server.path, *calls, json.dumps(request(50, "ping")).encode())
    assert sorted(reply["id"] for reply in replies) == list(range(51))
    assert all("result" in reply for reply in replies)


@pytest.mark.parametrize("revision", FEW)
@pytest.mark.parametrize("manner", ["close", "half-close", "reset"])
def test_a_client_that_leaves_takes_along_what_runs_for_it(
    own: Services, neighbour: Conversation, key: str, revision: str, manner: str
) -> None:
    with own.fresh("unix", revision) as leaving:
        assert isinstance(leaving, UnixConversation)
        leaving.start_tool("hold", {"key": key})
        leaving.text("story", {"key": key, "until": "held"})
        if manner == "half-close":
            leaving.finish_sending()
        elif manner == "reset":
            leaving.start_tool("long_text", {"length": 1_000_000})
        if manner != "half-close":
            leaving.close()
        assert neighbour.text("story", {"key": key, "until": "cancelled"}) == "held, cancelled"


def test_the_end_of_a_client_is_no_business_of_the_others(own: Services, neighbour: Conversation) -> None:
    """Neither a normal close nor `shutdown` nor a disconnect in the middle of a line."""
    with own.fresh("unix", FEW[0]) as standing:
        for _ in range(3):
            with own.fresh("unix", FEW[0]) as orderly:
                orderly.result("tools/list")
            with own.fresh("unix", FEW[0]) as ending:
                assert ending.result("shutdown") == {}
                assert not ending.await_end()
            with own.connect("unix", FEW[0]) as cut:
                assert isinstance(cut, UnixConversation)
                cut.write(PING[:10])
        assert standing.result("ping") == {}
        assert not standing.settle()
        assert not neighbour.settle()


def test_nothing_is_left_open_when_clients_have_left(server: UnixServer, neighbour: Conversation) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.child.pid}/fd"))

    neighbour.settle()
    before = descriptors()
    for _ in range(100):
        assert said(server.path, PING) == [PONG]
    neighbour.settle()
    assert descriptors() <= before + 1
