"""The server's own files: no tool, resource or command of any caller reaches them below any root."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadlines import wait_until
from tests.support.envelopes import JsonObject
from tests.support.identities import identities
from tests.support.machine import TIERS
from tests.support.processes import run_command, stdio_child
from tests.support.stdio_client import StdioClient

SECRET = "pepper-that-nobody-may-read"
PLUGIN = """
from tfo_mcp.plugins import tool

SECRET = "pepper-that-nobody-may-read"

@tool()
def shop() -> str:
    return "open"
"""
CONFINED = [tier for tier in TIERS if tier != "none"]


@dataclass
class Home:
    """A server whose root contains its own state, configuration and plugin, and a client of that server."""

    client: StdioClient
    root: Path

    def call(self, tool: str, **arguments: Any) -> JsonObject:
        """Call a tool and return its result, failed or not."""
        result: JsonObject = self.client.call("tools/call", {"name": tool, "arguments": arguments})["result"]
        return result

    def text(self, tool: str, **arguments: Any) -> str:
        """Call a tool that succeeds and return its whole result as text."""
        result = self.call(tool, **arguments)
        assert not result["isError"], result
        return json.dumps(result)

    def refused(self, tool: str, **arguments: Any) -> str:
        """Call a tool that fails and return its error text."""
        result = self.call(tool, **arguments)
        assert result["isError"], result
        return str(result["content"][0]["text"])

    def run(self, text: str) -> JsonObject:
        """Run a command and return its outcome, whatever its exit code."""
        result = self.call("execute_command", command=text)
        assert "structuredContent" in result, result
        outcome: JsonObject = result["structuredContent"]
        return outcome


PROTECTED = (
    ".local/state/tfo-mcp/keys.json",
    ".local/state/tfo-mcp/keys.json.pepper",
    ".local/state/tfo-mcp/audit.jsonl",
    ".local/state/tfo-mcp/audit.jsonl.1",
    ".local/state/tfo-mcp/running/1.json",
    "tfo-mcp.yaml",
    "shop_plugin.py",
    "pack/__init__.py",
    "pack/inner.py",
)


def home_of(place: Path, *, read_only: bool = False, tier: str = "auto", **sections: Any) -> Path:
    """Create a home directory with all files of a server, and return the configuration file."""
    for name in PROTECTED:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"# {SECRET}\n")
    (place / "shop_plugin.py").write_text(PLUGIN)
    (place / "pack" / "inner.py").write_text(f"# {SECRET}\n")
    (place / ".local/state/tfo-mcp/keys.json").unlink()
    (place / "work").mkdir()
    (place / "work" / "mine.txt").write_text("mine\n")
    configuration = {
        "mcp": {"plugins": ["shop_plugin", "pack.inner"]},
        "files": {"roots": [{"path": str(place), "read_only": read_only}]},
        "commands": {"sandbox": tier},
        "claude": {"model": SECRET},
        **sections,
    }
    for name in PROTECTED:
        if name.startswith(".local"):
            (place / name).chmod(0o600) if (place / name).exists() else None
    (place / "tfo-mcp.yaml").write_text(json.dumps(configuration))
    return place / "tfo-mcp.yaml"


@contextmanager
def serving(place: Path, variables: Mapping[str, str] | None = None, **options: Any) -> Iterator[Home]:
    config = home_of(place, **options)
    given = {"HOME": str(place), "XDG_STATE_HOME": "", **(variables or {})}
    with stdio_child(config, directory=place, variables=given) as child:
        client = StdioClient(child)
        client.handshake()
        yield Home(client, place)
        client.close_input()
        assert child.wait() == 0, child.stderr()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with serving(tmp_path) as home:
        keys = tmp_path / ".local/state/tfo-mcp/keys.json"
        keys.write_text(SECRET)
        keys.chmod(0o600)
        yield home


def test_no_tool_reads_changes_or_shows_what_belongs_to_the_server(home: Home) -> None:
    for name in PROTECTED:
        path = home.root / name
        before = path.read_bytes()
        uri = f"file://{path}"
        for told in (
            home.refused("read_file", path=name),
            home.refused("read_file", path=uri),
            home.refused("file_info", path=name),
            home.refused("write_file", path=name, content="x", mode="overwrite"),
            home.refused("write_file", path=name, content="x", mode="append"),
            home.refused("edit_file", path=name, edits=[{"old_text": SECRET, "new_text": "x"}]),
            home.refused("delete_file", path=name),
            home.refused("move_file", source=name, destination="work/stolen"),
            home.refused("move_file", source="work/mine.txt", destination=name, overwrite=True),
        ):
            assert "belongs to the server itself" in told
            assert SECRET not in told
        assert "error" in home.client.call("resources/read", {"uri": uri})
        assert "error" in home.client.call("resources/subscribe", {"uri": uri})
        assert path.read_bytes().startswith(before)  # the audit log grows meanwhile
    assert (home.root / "work" / "mine.txt").exists()


def test_no_listing_search_or_completion_shows_it(home: Home) -> None:
    listed = home.text("list_directory", path=".", depth=10)
    assert "work" in listed
    found = home.text("search_files", path=".", pattern="*")
    assert "mine.txt" in found
    for said in (listed, found, home.text("search_files", path=".local", pattern="*")):
        for name in PROTECTED:
            assert Path(name).name not in said, name
    (home.root / ".gitignore").write_text("!tfo-mcp.yaml\n!.local\n!**/keys.json\n!shop_plugin.py\n!pack\n")
    for options in ({}, {"include_ignored": True}):
        contents = home.text("search_files", path=".", contents=SECRET, **options)
        assert all(Path(name).name not in contents for name in PROTECTED), contents
    for typed in ("tfo", "shop", ".local/state/tfo-mcp/", ".local/state/tfo-mcp/k", "pack/"):
        reference = {"type": "ref/resource", "uri": "file:///{path}"}
        argument = {"name": "path", "value": typed}
        reply = home.client.call("completion/complete", {"ref": reference, "argument": argument})
        assert reply["result"]["completion"]["values"] == []


def test_a_name_that_looks_alike_does_not_show_that_it_is_there(home: Home) -> None:
    for name in PROTECTED:
        alike = f"{name[:-1]}{chr(ord(name[-1]) + 0xFEE0)}"  # the last character in full width
        told = home.refused("read_file", path=alike)
        assert "There is" not in told


def test_what_holds_it_is_neither_moved_nor_deleted(home: Home) -> None:
    for name in (".local", ".local/state", "pack"):
        assert "belongs to the server itself" in home.refused("delete_file", path=name, recursive=True)
        assert "belongs to the server itself" in home.refused("move_file", source=name, destination="elsewhere")
    assert (home.root / ".local/state/tfo-mcp/keys.json").read_text() == SECRET


def test_files_that_come_later_and_those_of_other_names_are_covered_too(home: Home, tmp_path: Path) -> None:
    state = home.root / ".local/state/tfo-mcp"
    for name in ("new", "keys.json.lock", "deep/inside"):
        path = f".local/state/tfo-mcp/{name}"
        assert "belongs" in home.refused("write_file", path=path, content="x", create_dirs=True)
    assert not (state / "deep").exists()
    (state / "audit.jsonl.2").write_text(SECRET)
    os.rename(state / "audit.jsonl.2", state / "audit.jsonl.3")
    assert "belongs" in home.refused("read_file", path=".local/state/tfo-mcp/audit.jsonl.3")
    os.link(state / "keys.json", home.root / "work" / "linked")
    os.symlink(state / "keys.json", home.root / "work" / "pointed")
    os.symlink(state, home.root / "work" / "way")
    for name in ("work/linked", "work/pointed", "work/way/keys.json", "work/way/new"):
        assert "belongs" in home.refused("read_file", path=name), name
        assert "belongs" in home.refused("write_file", path=name, content="x"), name
    assert "linked" not in home.text("list_directory", path="work")
    assert "linked" not in home.text("search_files", path="work", contents=SECRET)
    assert "linked" not in home.text("search_files", path="work", pattern="*")
    os.replace(home.root / "work" / "linked", home.root / "work" / "renamed")
    assert "belongs" in home.refused("read_file", path="work/renamed")


def test_a_root_that_is_read_only_shows_no_more(tmp_path: Path) -> None:
    with serving(tmp_path, read_only=True) as home:
        for name in PROTECTED:
            if (tmp_path / name).exists():
                assert "belongs to the server itself" in home.refused("read_file", path=name)
        assert "tfo-mcp.yaml" not in home.text("list_directory", path=".", depth=10)
        outcome = home.run(f"grep -r {SECRET} . ; cat tfo-mcp.yaml shop_plugin.py .local/state/tfo-mcp/audit.jsonl")
        assert SECRET not in outcome["stdout"]


@pytest.fixture
def place_of_all() -> Iterator[Path]:
    """A directory that every user may traverse."""
    with tempfile.TemporaryDirectory(prefix="tfo-protected-") as temporary:
        Path(temporary).chmod(0o755)
        yield Path(temporary)


@pytest.mark.parametrize("tier", CONFINED)
@pytest.mark.parametrize("identity", identities(), ids=lambda identity: identity.name)
def test_no_command_reads_or_changes_it(place_of_all: Path, tier: str, identity: Any) -> None:
    place = place_of_all / "home"
    place.mkdir()
    config = home_of(place, tier=tier)
    if identity.user is not None:
        subprocess.run(["chown", "-R", f"{identity.user}:{identity.user}", place], check=True)
    given = {"HOME": str(place), "XDG_STATE_HOME": ""}
    with stdio_child(config, directory=place, variables=given, become=identity.line) as child:
        client = StdioClient(child)
        client.handshake()
        home = Home(client, place)
        keys = place / ".local/state/tfo-mcp/keys.json"
        keys.write_text(SECRET)
        keys.chmod(0o600)
        if identity.user is not None:
            os.chown(keys, identity.user, identity.user)
        before = {name: (place / name).read_bytes() for name in PROTECTED if "audit.jsonl" not in name}
        names = " ".join(PROTECTED)
        outcome = home.run(
            "exec 2> work/errors; "
            f"for f in {names} .local/state/tfo-mcp; do cat $f; head -c 9 /proc/$$/cwd/$f; cp $f work/copy;"
            "ln $f work/l; mv $f work/moved; rm -rf $f; chmod 777 $f; touch -d @5 $f; echo x > $f; echo x >> $f; "
            f"python3 -c 'import os,sys; os.truncate(sys.argv[1], 0)' $f; done; grep -r {SECRET} . ; "
            "mv .local other; mv .local/state other; mv pack other; rm -rf .local pack; "
            "echo x > .local/state/tfo-mcp/new; umount tfo-mcp.yaml; unshare -Ur cat tfo-mcp.yaml; cat work/mine.txt; "
            "echo new > work/new.txt; echo top > top.txt; mkdir made; mv made made2; cat top.txt"
        )
        assert SECRET not in outcome["stdout"] + (place / "work" / "errors").read_text()
        assert outcome["stdout"].endswith("mine\ntop\n"), outcome
        assert {name: (place / name).read_bytes() for name in before} == before
        assert (place / "work" / "new.txt").read_text() == "new\n"
        assert (place / "made2").is_dir()
        assert (keys.stat().st_mode & 0o777, int(keys.stat().st_mtime) > 5) == (0o600, True)
        assert not (place / ".local/state/tfo-mcp/new").exists()
        client.close_input()
        assert child.wait() == 0


@pytest.mark.parametrize("tier", CONFINED)
def test_a_configuration_that_a_command_makes_is_not_read_by_the_next_server(tmp_path: Path, tier: str) -> None:
    with stdio_child(None, directory=tmp_path, variables={"TELEMETRYFLOW_MCP_COMMANDS_SANDBOX": tier}) as child:
        client = StdioClient(child)
        client.handshake()
        home = Home(client, tmp_path)
        assert "belongs" in home.refused("write_file", path="tfo-mcp.yaml", content="x")
        home.run("echo 'commands: {sandbox: none}' > tfo-mcp.yaml")
        assert not (tmp_path / "tfo-mcp.yaml").exists()
        assert (tmp_path / "tfo-mcp.yaml.set-aside-1").exists()


@pytest.mark.parametrize("tier", CONFINED)
def test_where_a_secret_cannot_be_covered_no_command_is_run(tmp_path: Path, tier: str) -> None:
    with serving(tmp_path, tier=tier, security={"keys_file": str(tmp_path / "keys.json")}) as home:
        assert "security.keys_file" in home.refused("execute_command", command="true")
        assert "belongs" in home.refused("write_file", path="keys.json", content="x")
        assert "belongs" in home.refused("write_file", path="keys.json.pepper", content="x")
        assert "belongs" in home.refused("write_file", path=".keys.json.abc", content="x")
        wait_until(lambda: "no commands are run" in home.client.child.stderr(), "the log says it too")


@pytest.mark.parametrize("tier", CONFINED)
def test_a_secret_with_another_name_keeps_commands_from_being_run(tmp_path: Path, tier: str) -> None:
    with serving(tmp_path, tier=tier) as home:
        audit = tmp_path / ".local/state/tfo-mcp/audit.jsonl"
        os.link(audit, tmp_path / "work" / "linked")
        assert "several hard links" in home.refused("execute_command", command="cat work/linked")
        (tmp_path / "work" / "linked").unlink()
        assert home.run("echo fine")["stdout"] == "fine\n"


def started(config: Path, place: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    given = {"HOME": str(place), "XDG_STATE_HOME": "", **variables}
    return run_command("serve", "--transport", "stdio", "--config", config, directory=place, variables=given)


@pytest.mark.parametrize("where", [".local/state/tfo-mcp", ".local/state/tfo-mcp/work", "pack"])
def test_a_root_that_is_or_lies_in_such_a_place_is_refused_at_the_start(tmp_path: Path, where: str) -> None:
    (tmp_path / where).mkdir(parents=True)
    for root in (tmp_path / where, link_to(tmp_path / where)):
        shutil.rmtree(tmp_path / "conf", ignore_errors=True)
        (tmp_path / "conf").mkdir()
        (tmp_path / "pack").mkdir(exist_ok=True)
        (tmp_path / "pack" / "__init__.py").touch()
        config = tmp_path / "tfo-mcp.yaml"
        config.write_text(json.dumps({"files": {"roots": [str(root)]}, "mcp": {"plugins": ["pack"]}}))
        done = started(config, tmp_path)
        assert done.returncode == 2, done
        assert "files.roots" in done.stderr
        assert "of the server itself" in done.stderr


def link_to(path: Path) -> Path:
    link = path.parent / f"link-to-{path.name}"
    link.symlink_to(path)
    return link


def test_the_environment_of_the_server_is_no_root(tmp_path: Path) -> None:
    config = tmp_path / "tfo-mcp.yaml"
    config.write_text(json.dumps({"files": {"roots": [sys.prefix]}}))
    assert "files.roots" in started(config, tmp_path).stderr
