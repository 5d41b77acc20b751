"""`shutdown`, this server's own method: it answers {}, lets calls in flight finish, and ends the session.

On stdio the process exits with 0 when the session ends. Over HTTP the server keeps serving others.
"""

from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.e2e.deployment import TALKATIVE
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE
from tests.support.http_client import Reply, http_client
from tests.support.processes import http_server
from tests.support.stdio_client import stdio_client


@pytest.mark.parametrize("revision", [HANDSHAKE_REVISIONS[0], LATEST_HANDSHAKE])
def test_shutdown_ends_the_process_on_stdio(revision: str, tmp_path: Path) -> None:
    with stdio_client(directory=tmp_path) as client:
        client.handshake(revision)
        assert client.call("shutdown")["result"] == {}
        assert client.child.wait(1.0) == 0
        assert client.rest() == ()


def test_shutdown_lets_calls_in_flight_finish_on_stdio(tmp_path: Path) -> None:
    with stdio_client(TALKATIVE, directory=tmp_path) as client:
        client.handshake()
        call = client.start("tools/call", {"name": "wait_here", "arguments": {"folder": str(tmp_path)}})
        wait_until((tmp_path / "started").exists, "the tool has started")
        assert client.call("shutdown")["result"] == {}
        assert "error" in client.call("tools/list")
        assert client.child.process.poll() is None
        (tmp_path / "go").touch()
        assert client.reply(call)["result"]["content"] == [{"type": "text", "text": "went on"}]
        assert client.child.wait(1.0) == 0


def test_shutdown_ends_the_session_over_http_after_its_calls(tmp_path: Path) -> None:
    with http_server(TALKATIVE, directory=tmp_path) as server, http_client(server.url) as client:
        session, other = client.handshake(), client.handshake()
        answers: list[Reply] = []
        arguments = {"name": "wait_here", "arguments": {"folder": str(tmp_path)}}
        calling = Thread(target=lambda: answers.append(session.call("tools/call", arguments)), daemon=True)
        calling.start()
        wait_until((tmp_path / "started").exists, "the tool has started")

        assert session.call("shutdown").result == {}
        (tmp_path / "go").touch()
        calling.join(PATIENCE)
        assert answers[0].result["content"] == [{"type": "text", "text": "went on"}]
        wait_until(lambda: session.call("ping").status == httpx.codes.NOT_FOUND, "the session is gone")
        assert other.call("ping").result == {}
