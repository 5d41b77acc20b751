"""`--transport all`: one process serves stdio, the network and a Unix socket."""

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import FEW
from tests.e2e.one_run import run
from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.http_conversation import HttpConversation
from tests.support.processes import (
    LOOPBACK,
    NO_TLS,
    PROJECT,
    Child,
    HttpServer,
    UnixServer,
    await_health,
    await_socket,
    child,
    configuration_file,
    free_port,
)
from tests.support.sse_conversation import SseConversation
from tests.support.stdio_conversation import StdioConversation
from tests.support.unix_conversation import UnixConversation
from tests.support.websocket_conversation import WebSocketConversation

SAID_IN_ALL = ("printed", "written", "from the descriptor", "from a child", "from a shell", "from a logger")


@dataclass(frozen=True)
class Everything:
    """One process that serves every transport."""

    child: Child
    network: HttpServer
    unix_socket: UnixServer

    @contextmanager
    def conversations(self, revision: str) -> Iterator[Sequence[Conversation]]:
        """Yield a conversation over each transport, ready for requests; stdio comes first."""
        with ExitStack() as stack:
            opened: Sequence[Conversation] = [
                stack.enter_context(closing(conversation))
                for conversation in (
                    StdioConversation(self.child, revision),
                    UnixConversation(self.unix_socket, revision),
                    HttpConversation(self.network, revision),
                    WebSocketConversation(self.network, revision),
                    SseConversation(self.network, revision),
                )
            ]
            for conversation in opened:
                if not conversation.stateless:
                    conversation.handshake()
            yield opened


@contextmanager
def everything(roots: Path, host: str = "present") -> Iterator[Everything]:
    """Start the process; with an "absent" or "silent" host, its standard input is at end of file from the start."""
    port = free_port()
    with configuration_file(settings(roots)) as config, tempfile.TemporaryDirectory(prefix="tfo-") as temporary:
        path = Path(temporary, "s")
        where = ["--host", LOOPBACK, "--port", str(port), "--path", str(path)]
        line = ["serve", "--transport", "all", *where, *config]
        with child(line, pipes=host != "absent", variables={"PYTHONPATH": str(PROJECT)}) as running:
            if host == "silent":
                for pipe in (running.process.stdin, running.process.stdout):
                    assert pipe is not None
                    pipe.close()
            server = HttpServer(running, port)
            await_health(server)
            await_socket(running, path)
            yield Everything(running, server, UnixServer(running, path))


@pytest.mark.parametrize("revision", FEW)
def test_every_transport_is_served_and_standard_output_carries_messages_alone(roots: Path, revision: str) -> None:
    """R34: also when a tool called over another transport prints."""
    with everything(roots) as running, running.conversations(revision) as conversations:
        for conversation in conversations:
            assert conversation.text("echo", {"message": conversation.transport}) == conversation.transport
            assert conversation.text("soil_stdout") == "soiled"
        for conversation in conversations:
            assert not conversation.settle()
            assert conversation.alive
        for line in SAID_IN_ALL:
            wait_until(lambda said=line: said in running.child.stderr(), f"{line!r} is on stderr")  # type: ignore[misc]


def test_a_call_over_one_transport_is_let_go_on_over_another(roots: Path, key: str) -> None:
    """All transports share one process: one client releases the call of another."""
    with everything(roots) as running, running.conversations(STATELESS) as conversations:
        for number, conversation in enumerate(conversations):
            identifier = conversation.start_tool("hold", {"key": f"{key}{number}"})
            other = conversations[number - 1]
            other.text("story", {"key": f"{key}{number}", "until": "held"})
            other.text("open_gate", {"key": f"{key}{number}"})
            assert "result" in conversation.reply(identifier)


def test_a_host_that_spoke_and_leaves_ends_the_process_with_0(roots: Path) -> None:
    """R35: the other clients see their connections close properly."""
    with everything(roots) as running, running.conversations(LATEST_HANDSHAKE) as conversations:
        assert running.child.process.stdin is not None
        running.child.process.stdin.close()
        for conversation in conversations:
            if conversation.ordered:
                assert not conversation.await_end()
            if isinstance(conversation, WebSocketConversation):
                assert conversation.closed_with is not None
                assert conversation.closed_with.code == 1012
        assert running.child.wait() == 0
        assert "Traceback" not in running.child.stderr()
        assert not running.unix_socket.path.exists()


def test_a_host_that_leaves_is_waited_for_no_longer_than_by_a_signal(roots: Path, tmp_path: Path) -> None:
    """R35: calls of other clients are answered before the end."""
    with everything(roots) as running, running.conversations(LATEST_HANDSHAKE) as conversations:
        assert running.child.process.stdin is not None
        _, unix, _, web, _ = conversations
        gate = tmp_path / "gate"
        calls = {conversation: conversation.start_tool("hold_for", {"path": str(gate)}) for conversation in (unix, web)}
        wait_until(Path(f"{gate}.held").exists, "a call runs")
        running.child.process.stdin.close()
        readiness = f"{running.network.origin}/readyz"
        wait_until(lambda: httpx.get(readiness, verify=NO_TLS).status_code == 503, "the server drains")
        gate.touch()
        for conversation, identifier in calls.items():
            assert "result" in conversation.reply(identifier)
        assert running.child.wait() == 0


@pytest.mark.parametrize("host", ["absent", "silent"])
def test_an_input_that_is_at_its_end_from_the_beginning_lets_the_rest_go_on(roots: Path, host: str) -> None:
    """Service managers start processes like this."""
    with everything(roots, host) as running:
        for conversation in (
            WebSocketConversation(running.network, STATELESS),
            UnixConversation(running.unix_socket, STATELESS),
        ):
            with closing(conversation):
                assert conversation.text("echo", {"message": "still here"}) == "still here"
        assert running.child.process.poll() is None
        running.child.process.terminate()
        assert running.child.wait() == 0


def test_shutdown_of_a_network_client_ends_its_session_alone(roots: Path) -> None:
    with everything(roots) as running, running.conversations(LATEST_HANDSHAKE) as conversations:
        for conversation in conversations[1:]:
            assert conversation.result("shutdown") == {}
        assert conversations[0].text("echo", {"message": "still here"}) == "still here"
        assert running.child.process.poll() is None


def test_a_transport_that_cannot_be_served_is_one_clear_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken, tempfile.TemporaryDirectory(prefix="tfo-") as temporary:
        path, port = Path(temporary, "s"), str(taken.getsockname()[1])
        lines = [["--port", port], ["--port", port, "--path", str(path)], ["--port", "0", "--path", temporary]]
        # one after the other: servers of one port have one database
        outcomes = [run("serve", "--transport", "all", *line, directory=tmp_path) for line in lines]
        assert not path.exists()
    for outcome, setting in zip(outcomes, ("server.port", "server.port", "server.socket_path"), strict=True):
        assert setting in outcome.only_complaint


def test_a_signal_ends_everything_with_0(roots: Path) -> None:
    """R35, R68: subscriptions end with their results."""
    with everything(roots) as running, running.conversations(STATELESS) as conversations:
        for conversation in conversations:
            conversation.start("subscriptions/listen", {"notifications": {}}, id="listening")
            conversation.notification("notifications/subscriptions/acknowledged")
        running.child.process.terminate()
        for conversation in conversations:
            assert conversation.reply("listening")["result"]["resultType"] == "complete"
        assert running.child.wait() == 0
        assert "Traceback" not in running.child.stderr()
