"""Without configured roots, a server serves its working directory only if that is safe.

The home directory, `/`, the state directory, their parents and contents, and system directories are never a default
root. The tests show the rule for every such directory, and its effect on every transport.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import request, stateless_params
from tests.support.http_client import http_client
from tests.support.processes import await_socket, child, http_server, run_command
from tests.support.stdio_client import StdioClient, stdio_client
from tests.support.streamable_http import call_of
from tfo_mcp.bootstrap import Settings, load, served_roots
from tfo_mcp.bootstrap.roots import is_disk
from tfo_mcp.infrastructure.config import FilesSettings
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.files import FileLimits, RootedFiles

BENEATH_ROOTS = {
    *("read_file", "list_directory", "search_files", "file_info", "execute_command"),
    *("write_file", "edit_file", "move_file", "delete_file"),
}
ANYWHERE = {"echo", "system_info", "claude_conversation"}
PLUGIN = """
from tfo_mcp.plugins import Context, Program, tool


@tool()
async def peek(ctx: Context) -> str:
    "Read."
    return (await ctx.files.read("/etc/passwd")).decode()


@tool()
async def run(ctx: Context) -> str:
    "Run."
    return str(await ctx.commands.run(Program(("id",))))
"""
HOW = "configure a directory with the setting files.roots, or with `tfo-mcp install HOST --root DIRECTORY`"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a user's home, state directory and project, set in the environment of this process."""
    for name in ("users/me/project", "var/state/tfo-mcp/running", "srv/data"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "users" / "me"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "var" / "state"))
    return tmp_path


class TestTheRule:
    @pytest.mark.parametrize(
        "place",
        [
            "/",
            "users/me",
            "users",
            ".",
            "var/state/tfo-mcp",
            "var/state/tfo-mcp/running",
            "var/state",
            "var",
            "/etc",
            "/etc/ssl",
            "/proc/self",
            "/usr",
            "/var",
            "/home",
            "/tmp",
            "/var/lib",
            "/usr/local",
        ],
    )
    def test_these_are_never_a_default_root(self, user: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        monkeypatch.chdir(user / place)
        found = served_roots(load(environ={}))
        assert found.paths == ()
        assert found.reason is not None
        assert HOW in found.reason

    @pytest.mark.parametrize("place", ["users/me/project", "srv/data", "srv"])
    def test_other_directories_are(self, user: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        monkeypatch.chdir(user / place)
        assert served_roots(load(environ={})).paths == (RootPath(user / place),)

    @pytest.mark.parametrize(
        ("place", "expected"),
        [
            *((place, True) for place in ("/mnt", "/mnt/c", "/Volumes/Data", "/media/me", "/media/me/USB", "/host")),
            *((place, True) for place in ("/run/media/me", "/run/media/me/USB", "/rootfs")),
            *((place, False) for place in ("/mnt/c/project", "/media/me/USB/project", "/Volumes/Data/p", "/mntx/c")),
            *((place, False) for place in ("/host/project", "/srv/mnt/c", "/")),
        ],
    )
    def test_whole_disks_are_recognized_by_where_they_are_mounted(self, place: str, expected: bool) -> None:
        assert is_disk(place) is expected

    def test_other_names_of_home_change_nothing(self, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (user / "alias").symlink_to(user / "users" / "me")
        monkeypatch.chdir(user / "alias")
        assert served_roots(load(environ={})).paths == ()
        monkeypatch.setenv("HOME", str(user / "alias"))
        monkeypatch.chdir(user / "users" / "me")
        assert served_roots(load(environ={})).paths == ()

    def test_the_home_of_the_user_database_is_one_whatever_the_environment_says(
        self, user: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HOME")
        real = Path.home()
        monkeypatch.setenv("HOME", str(user / "srv"))
        monkeypatch.chdir(real)
        assert served_roots(load(environ={})).paths == ()

    def test_a_working_directory_that_is_gone_is_none(self, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(user / "srv" / "data")
        (user / "srv" / "data").rmdir()
        found = served_roots(load(environ={}))
        assert (found.paths, "does not exist" in str(found.reason)) == ((), True)

    @pytest.mark.parametrize("named", ["/", ".", "~"])
    def test_to_name_one_of_them_is_the_owners_decision(
        self, user: Path, monkeypatch: pytest.MonkeyPatch, named: str
    ) -> None:
        monkeypatch.chdir(user / "users" / "me")
        settings = load(environ={"TELEMETRYFLOW_MCP_FILES_ROOTS": named})
        (root,) = served_roots(settings).paths
        assert os.path.samefile(root.path, {"/": "/"}.get(named, user / "users" / "me"))

    def test_the_file_with_every_default_names_none(self, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        home = user / "users" / "me"
        monkeypatch.chdir(home)
        assert run_command("init-config", directory=home).returncode == 0
        assert served_roots(load(home / "tfo-mcp.yaml", environ={})).paths == ()

    def test_an_empty_list_is_still_an_error(self, tmp_path: Path) -> None:
        assert served_roots(Settings(files=FilesSettings(roots=[]))).reason is None
        with pytest.raises(ValueError, match="name at least one directory"):
            RootedFiles([], FileLimits(1, 1, 1, 1.0), lambda *_: None)  # type: ignore[arg-type]


@pytest.fixture(params=["/", "home"])
def place(user: Path, request: pytest.FixtureRequest) -> Path:
    """A working directory that is never a default root."""
    return Path("/") if request.param == "/" else user / "users" / "me"


def check(tools: list[dict[str, Any]], resources: list[dict[str, Any]], templates: list[dict[str, Any]]) -> None:
    """Check that no file tools or resources are listed, and that all others are."""
    assert {tool["name"] for tool in tools} == ANYWHERE
    assert {resource["uri"] for resource in resources} == {"config://server", "status://health", "usage://claude"}
    assert [template["uriTemplate"] for template in templates] == ["conversation://{conversation_id}"]


def test_over_stdio_there_are_no_files_and_no_commands_and_the_client_is_told(place: Path) -> None:
    with stdio_client(directory=place) as client:
        assert HOW in client.handshake()["instructions"]
        check(
            client.call("tools/list")["result"]["tools"],
            client.call("resources/list")["result"]["resources"],
            client.call("resources/templates/list")["result"]["resourceTemplates"],
        )
        for name in sorted(BENEATH_ROOTS):
            error = client.call("tools/call", call_of(name, path="/etc/passwd", command="id"))["error"]
            assert (name in error["message"], HOW in error["message"]) == (True, True)
        for uri in ("file:///etc/passwd", "file:///", "file:///etc", f"file://{place}"):
            assert client.call("resources/read", {"uri": uri})["error"]["code"] == -32002
            assert "error" in client.call("resources/subscribe", {"uri": uri})
        completion = {
            "ref": {"type": "ref/resource", "uri": "file:///{path}"},
            "argument": {"name": "path", "value": "/etc"},
        }
        assert "error" in client.call("completion/complete", completion)
        assert client.call("tools/call", call_of("echo", message="hello"))["result"]["content"][0]["text"] == "hello"
        assert not client.call("tools/call", call_of("system_info"))["result"].get("isError")
        wait_until(lambda: "No root directory" in client.child.stderr(), "the log says so")
        assert client.child.stderr().count("No root directory") == 1


def test_the_stateless_era_is_told_as_well(user: Path) -> None:
    configuration = {"mcp": {"instructions": "Be kind."}}
    with stdio_client(configuration, directory=Path("/")) as client:
        instructions = client.call_stateless("server/discover")["result"]["instructions"]
        assert instructions.startswith("Be kind.\n\n")
        assert HOW in instructions
        assert str(user) not in instructions
        error = client.call_stateless("tools/call", call_of("read_file", path="/etc/passwd"))["error"]
        assert HOW in error["message"]


def test_over_the_network_neither(place: Path) -> None:
    settings = {"security": {"anonymous": "all"}}
    with http_server(settings, directory=place) as server, http_client(server.url) as client:
        check(
            client.call_stateless("tools/list").result["tools"],
            client.call_stateless("resources/list").result["resources"],
            client.call_stateless("resources/templates/list").result["resourceTemplates"],
        )
        assert HOW in client.call_stateless("tools/call", call_of("read_file", path="/etc/passwd")).error["message"]
        wait_until(lambda: "No root directory" in server.child.stderr(), "the log says so")
        assert server.child.stderr().count("No root directory") == 1


@pytest.fixture
def unix_answers(user: Path) -> Iterator[Any]:
    path = user / "s"
    with child(["serve", "--transport", "unix", "--path", str(path)], directory=Path("/")) as running:
        await_socket(running, path)
        yield path


def test_over_the_unix_socket_neither(unix_answers: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(unix_answers))
        connection.sendall(json.dumps(request(1, "tools/list", stateless_params())).encode() + b"\n")
        line = connection.makefile("rb").readline()
    assert {tool["name"] for tool in json.loads(line)["result"]["tools"]} == ANYWHERE


def test_neither_on_stdio_beside_the_network(user: Path) -> None:
    line = ["serve", "--transport", "all", "--port", "0"]
    with child(line, pipes=True, directory=Path("/")) as running:
        listed = StdioClient(running).call_stateless("tools/list")["result"]
    assert {tool["name"] for tool in listed["tools"]} == ANYWHERE


def run(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_command(*arguments, directory=place)


def test_nor_on_the_command_line_which_says_why(place: Path) -> None:
    listed = run(place, "list", "tools")
    assert {line.partition("\t")[0] for line in listed.stdout.splitlines()} == ANYWHERE
    assert HOW in listed.stderr
    called = run(place, "call", "read_file", '{"path": "/etc/passwd"}')
    assert (called.returncode, called.stdout, HOW in called.stderr) == (1, "", True)
    examined = json.loads(run(place, "doctor", "--json").stdout)
    (root,) = examined["roots"]
    assert (root["status"], HOW in root["detail"]) == ("note", True)


def test_a_plugins_own_use_of_files_and_commands_is_refused_with_the_same_advice(user: Path) -> None:
    plugins = user / "plugins"
    plugins.mkdir()
    (plugins / "mine.py").write_text(PLUGIN)
    (plugins / "tfo-mcp.yaml").write_text("mcp: {plugins: [mine]}")
    with stdio_client(plugins / "tfo-mcp.yaml", directory=Path("/")) as client:
        for name in ("peek", "run"):
            result = client.call_stateless("tools/call", call_of(name))["result"]
            assert result["isError"]
            assert "files.roots" in result["content"][0]["text"]
