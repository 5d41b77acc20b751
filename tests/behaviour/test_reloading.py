"""Reloading settings: no connection is dropped, and an invalid configuration changes nothing."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.http_client import http_client
from tests.support.http_conversation import HttpConversation
from tests.support.processes import PROJECT, HttpServer, http_server, run_command, stdio_child, unix_server
from tests.support.stdio_conversation import StdioConversation
from tests.support.unix_conversation import UnixConversation
from tests.support.websocket_conversation import WebSocketConversation

TOOL = '''
@tool(hints=ToolHints(read_only=True))
def {name}() -> str:
    """{text}"""
    return "{answer}"
'''
CHANGED = {"tools": "notifications/tools/list_changed"}


@dataclass
class Place:
    """A directory with a configuration and a plugin, and the server that uses them."""

    folder: Path
    server: Any = None

    def configure(self, **sections: object) -> None:
        """Write the configuration."""
        whole = {"mcp": {"plugins": ["mine"]}, "logging": {"format": "json"}, **sections}
        (self.folder / "tfo-mcp.yaml").write_text(json.dumps(whole))

    def define(self, *tools: str, broken: str = "") -> None:
        """Write the plugin: tools as `name`, `name=answer` or `name=answer=description`."""
        source = "from tfo_mcp.plugins import ToolHints, tool\n"
        for number, tool in enumerate(tools):
            name, answer, text, *_ = (*tool.split("="), "", "")
            source += TOOL.format(name=name, answer=answer or "x", text=text or "A tool.") + "#" * number + "\n"
        (self.folder / "mine.py").write_text(source + broken)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `tfo-mcp reload`."""
        return run_command("reload", "--config", self.folder / "tfo-mcp.yaml", *arguments, variables=self.variables)

    def reload(self) -> list[str]:
        """Send SIGHUP to reload the settings, and return the reported problems."""
        told = self.folder / "state" / "tfo-mcp" / "running" / f"{self.server.pid}.json"
        before = json.loads(told.read_text())["reloads"]
        self.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: json.loads(told.read_text())["reloads"] > before, "the server has reloaded its settings")
        problems: list[str] = json.loads(told.read_text())["problems"]
        return problems

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the server and of the commands that look for it."""
        return {"XDG_STATE_HOME": str(self.folder / "state")}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.configure()
    place.define("first")
    return place


@contextmanager
def over_stdio(place: Place) -> Iterator[Conversation]:
    variables = {**place.variables, "PYTHONPATH": str(PROJECT)}
    with stdio_child(place.folder / "tfo-mcp.yaml", variables=variables) as child:
        place.server = child
        with closing(StdioConversation(child, LATEST_HANDSHAKE)) as conversation:
            yield conversation


@contextmanager
def over_unix(place: Place) -> Iterator[Conversation]:
    with unix_server(place.folder / "tfo-mcp.yaml", variables=place.variables) as server:
        place.server = server.child
        with closing(UnixConversation(server, LATEST_HANDSHAKE)) as conversation:
            yield conversation


@contextmanager
def over_websocket(place: Place) -> Iterator[Conversation]:
    with serving(place) as server, closing(WebSocketConversation(server, LATEST_HANDSHAKE)) as conversation:
        yield conversation


@contextmanager
def serving(place: Place) -> Iterator[HttpServer]:
    with http_server(place.folder / "tfo-mcp.yaml", variables=place.variables) as server:
        place.server = server.child
        yield server


def names(conversation: Conversation) -> set[str]:
    builtin = {"echo", "read_file", "list_directory", "search_files", "file_info", "system_info"}
    changing = {"write_file", "edit_file", "move_file", "delete_file", "execute_command", "claude_conversation"}
    return {tool["name"] for tool in conversation.everything("tools/list", "tools")} - builtin - changing


@pytest.mark.parametrize("opened", [over_stdio, over_unix, over_websocket])
def test_tools_that_come_and_go_are_told_of_on_connections_that_stay(
    place: Place, opened: Callable[[Place], Any]
) -> None:
    with opened(place) as conversation:
        conversation.handshake()
        assert names(conversation) == {"first"}
        place.define("first", "second=of the second")
        assert place.reload() == []
        conversation.notification(CHANGED["tools"])
        assert names(conversation) == {"first", "second"}
        assert conversation.text("second") == "of the second"
        place.define("second=changed")
        assert place.reload() == []
        conversation.notification(CHANGED["tools"])
        assert names(conversation) == {"second"}
        assert conversation.text("second") == "changed"


def test_the_selection_of_tools_is_reloaded(place: Place) -> None:
    place.define("first", "second")
    with over_stdio(place) as conversation:
        conversation.handshake()
        assert names(conversation) == {"first", "second"}
        place.configure(tools={"disabled": ["first"]})
        assert place.reload() == []
        conversation.notification(CHANGED["tools"])
        assert names(conversation) == {"second"}
        place.configure(tools={"disabled": ["frist"]})
        assert place.reload() == ["tools.disabled: no tool matches 'frist'; did you mean first?"]
        assert names(conversation) == {"second"}
        place.configure()
        assert place.reload() == []
        conversation.notification(CHANGED["tools"])
        assert names(conversation) == {"first", "second"}


def test_a_reload_before_the_first_list_changes_what_is_listed(place: Place) -> None:
    place.configure(mcp={})
    with over_stdio(place) as conversation:
        conversation.handshake()
        place.configure(mcp={"plugins": ["mine"]}, tools={"disabled": ["echo"]})
        assert place.reload() == []
        conversation.notification(CHANGED["tools"])
        listed = {tool["name"] for tool in conversation.everything("tools/list", "tools")}
        assert {"first", "read_file"} <= listed
        assert "echo" not in listed
        assert conversation.text("first") == "x"


def test_only_what_looks_different_is_told_of(place: Place) -> None:
    with over_stdio(place) as conversation:
        conversation.handshake()
        place.define("first=another answer")
        assert place.reload() == []
        assert conversation.text("first") == "another answer"
        assert not conversation.waiting_notifications()
        place.define("first=x=Another description, longer than the one before.")
        assert place.reload() == []
        conversation.notification(CHANGED["tools"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda place: place.define("first", broken="x ("), "Plugin 'mine' cannot be imported: SyntaxError"),
        (lambda place: place.define("first", broken="1 / 0  # at import"), "ZeroDivisionError"),
        (lambda place: place.define("echo"), "defines the tool 'echo'"),
        (lambda place: (place.folder / "mine.py").unlink(), "ModuleNotFoundError"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_changes_nothing_and_says_why(
    place: Place, spoil: Callable[[Place], object], words: str
) -> None:
    with over_stdio(place) as conversation:
        conversation.handshake()
        spoil(place)
        assert words in "".join(place.reload())
        assert conversation.text("first") == "x"
        place.define("second")
        assert place.reload() == []
        assert names(conversation) == {"second"}


def test_a_configuration_that_cannot_be_used_changes_nothing_and_says_why(place: Place) -> None:
    with serving(place) as server:
        place.configure(server={"prot": 3})
        assert "did you mean 'server.port'?" in "".join(place.reload())
        done = place.ask()
        assert (done.returncode, "did you mean 'server.port'?" in done.stderr) == (2, True)
        wait_until(lambda: "the settings were not reloaded" in server.child.stderr(), "the log says it too")
        assert httpx.get(f"{server.origin}/readyz").status_code == 200


def test_what_needs_a_restart_is_said_and_does_not_hold_yet(place: Place) -> None:
    with serving(place) as server, closing(HttpConversation(server, STATELESS)) as conversation:
        place.configure(mcp={"plugins": ["mine"], "page_size": 1}, limits={"burst": 7})
        assert place.reload() == []
        wait_until(lambda: '"mcp.page_size"' in server.child.stderr(), "the log says so")
        assert len(conversation.result("tools/list")["tools"]) > 1
        text = conversation.result("resources/read", {"uri": "config://server"})["contents"][0]["text"]
        shown = json.loads(text)
        assert (shown["mcp"]["page_size"], shown["limits"]["burst"]) == (1000, 7)


def test_limits_and_what_anonymous_callers_may_do_hold_at_once(place: Place) -> None:
    with serving(place) as server, closing(HttpConversation(server, STATELESS)) as conversation:
        assert "echo" in {tool["name"] for tool in conversation.result("tools/list")["tools"]}
        assert "write_file" not in {tool["name"] for tool in conversation.result("tools/list")["tools"]}
        place.configure(security={"anonymous": "all"}, limits={"anonymous_calls_per_minute": 1, "burst": 1})
        assert place.reload() == []
        assert "write_file" in {tool["name"] for tool in conversation.result("tools/list")["tools"]}
        assert conversation.error("tools/list")["data"]["kind"] == "rate_limited"
        place.configure(security={"require_key": True})
        assert place.reload() == []
        answer = httpx.post(
            server.url, json={}, headers={"Accept": "application/json", "Content-Type": "application/json"}
        )
        assert answer.status_code == 401


def test_the_share_of_one_client_holds_at_once(place: Place) -> None:
    with serving(place) as server, http_client(server.url) as client, client.handshake().listen() as first:
        with client.handshake().listen() as second:
            assert (first.status, second.status) == (200, 200)
        place.configure(limits={"streams": 1})
        assert place.reload() == []
        refused = httpx.get(f"{server.origin}/sse")
        assert (refused.status_code, "limits.streams" in refused.text) == (429, True)


def test_the_log_level_holds_at_once(place: Place) -> None:
    place.configure(logging={"format": "json", "level": "error"})
    with serving(place) as server, closing(HttpConversation(server, STATELESS)) as conversation:
        conversation.result("tools/list")
        assert '"event":"call"' not in server.child.stderr()
        place.configure(logging={"format": "json", "level": "info"})
        assert place.reload() == []
        conversation.result("tools/list")
        wait_until(lambda: '"event":"call"' in server.child.stderr(), "calls are logged")


def test_a_running_call_is_not_disturbed(place: Place, tmp_path: Path) -> None:
    place.configure(mcp={"plugins": ["mine", "tests.support.plugins.held_calls"]})
    with over_stdio(place) as conversation:
        conversation.handshake()
        call = conversation.start_tool("hold_for", {"path": str(tmp_path / "gate")})
        wait_until((tmp_path / "gate.held").exists, "the call runs")
        place.define("second")
        assert place.reload() == []
        (tmp_path / "gate").touch()
        assert conversation.reply(call)["result"]["content"][0]["text"] == "went on"


def test_servers_are_found_by_their_configuration_or_their_process(place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    other.folder.mkdir()
    other.configure(mcp={"plugins": []})
    with serving(place) as server:
        assert "no server of yours runs" in other.ask().stderr
        assert place.ask("--pid", "1").returncode == 1
        assert place.ask().stdout == f"{server.child.pid}: reloaded\n"
        place.define("first", broken="x (")
        done = place.ask("--pid", str(server.child.pid))
        assert (done.returncode, "SyntaxError" in done.stderr) == (1, True)
        server.child.process.kill()
        server.child.wait()
        assert "no server of yours runs" in place.ask().stderr
