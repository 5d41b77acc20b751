"""Trusted code: the server never runs code from directories that callers may write to."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadlines import wait_until
from tests.support.envelopes import JsonObject
from tests.support.machine import TIERS
from tests.support.processes import PROJECT, stdio_child
from tests.support.stdio_client import StdioClient
from tfo_mcp.plugins.search_path import PluginPath

MARKER = "import os, pathlib; pathlib.Path(os.environ['MARKER']).touch()\n"
PLUGIN = """
from tfo_mcp.plugins import tool

@tool()
def shop() -> str:
    return "{said}"
"""


def call(client: StdioClient, tool: str, **arguments: Any) -> JsonObject:
    """Call a tool and return its result."""
    result: JsonObject = client.call("tools/call", {"name": tool, "arguments": arguments})["result"]
    return result


@contextmanager
def serving(place: Path, marker: Path, *line: str, **sections: Any) -> Iterator[StdioClient]:
    """Serve a directory that also holds the configuration. Code from it that runs in the server creates `marker`."""
    configuration = {"files": {"roots": [str(place)]}, **sections}
    (place / "tfo-mcp.yaml").write_text(json.dumps(configuration))
    with stdio_child(
        place / "tfo-mcp.yaml",
        directory=place,
        variables={"MARKER": str(marker), "PYTHONDONTWRITEBYTECODE": "1"},
        become=(lambda ours: [*line, *ours[1:]]) if line else list,
    ) as child:
        client = StdioClient(child)
        client.handshake()
        yield client
        client.close_input()
        assert child.wait() == 0, child.stderr()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "root"
    place.mkdir()
    return place


@pytest.mark.parametrize("line", [(), (sys.executable, "-m", "tfo_mcp")], ids=["script", "module"])
def test_a_library_that_is_written_into_a_root_is_not_imported(
    place: Path, tmp_path: Path, line: tuple[str, ...]
) -> None:
    (place / "shop_plugin.py").write_text(PLUGIN.format(said="open"))
    marker = tmp_path / "marker"
    with serving(place, marker, *line, mcp={"plugins": ["shop_plugin"]}) as client:
        for name in ("psutil", "watchfiles", "anthropic", "sitecustomize", "yaml", "encodings/idna", "_strptime"):
            written = call(client, "write_file", path=f"{name}.py", content=MARKER, create_dirs=True)
            assert not written["isError"], written
        assert not call(client, "system_info")["isError"]
        client.call("resources/subscribe", {"uri": f"file://{place}/psutil.py"})
        client.child.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in client.child.stderr(), "the settings were reloaded")
        assert call(client, "shop")["content"][0]["text"] == "open"
    with serving(place, marker, *line, mcp={"plugins": ["shop_plugin"]}) as client:
        assert not call(client, "system_info")["isError"]
    assert not marker.exists()


def test_nothing_can_be_put_before_a_plugin_or_in_its_place(place: Path, tmp_path: Path) -> None:
    (place / "shop_plugin.py").write_text(PLUGIN.format(said="open"))
    marker = tmp_path / "marker"
    with serving(place, marker, mcp={"plugins": ["shop_plugin"]}) as client:
        for name in ("shop_plugin.py", "shop_plugin/__init__.py", "shop_plugin.abi3.so", "shop_plugin.pyc"):
            told = call(client, "write_file", path=name, content=MARKER, create_dirs=True, mode="overwrite")
            assert "belongs to the server itself" in told["content"][0]["text"]
        ran = call(client, "execute_command", command="mkdir shop_plugin; echo x | tee shop_plugin/__init__.py")
        assert not ran["isError"], ran
        assert sorted(os.listdir(place / "shop_plugin")) == ["__init__.py.set-aside-1"]
        (place / "shop_plugin.py").write_text(PLUGIN.format(said="closed"))
        client.child.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in client.child.stderr(), "the settings were reloaded")
        assert call(client, "shop")["content"][0]["text"] == "closed"
    assert not marker.exists()


def test_compiled_code_beside_a_plugin_is_not_run(place: Path, tmp_path: Path) -> None:
    """Not even if it claims to be compiled from the current plugin."""
    marker = tmp_path / "marker"
    source = place / "shop_plugin.py"
    source.write_text(MARKER)
    os.utime(source, (10, 10))
    cached = place / "__pycache__" / f"shop_plugin.{sys.implementation.cache_tag}.pyc"
    sys.path.insert(0, str(place))
    try:
        import importlib.util
        import py_compile

        py_compile.compile(str(source), str(cached))
        assert importlib.util.cache_from_source(str(source)) == str(cached)
    finally:
        sys.path.remove(str(place))
    padding = len(MARKER) - len(PLUGIN.format(said="open"))
    source.write_text(PLUGIN.format(said="open" + "!" * padding) if padding >= 0 else PLUGIN.format(said="open"))
    os.utime(source, (10, 10))
    with serving(place, marker, mcp={"plugins": ["shop_plugin"]}) as client:
        assert call(client, "shop")["content"][0]["text"].startswith("open")
    assert not marker.exists()


def test_of_two_files_that_could_be_a_plugin_neither_is_taken(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for name in ("two.py", "two/__init__.py"):
        (tmp_path / name).touch()
    finder = PluginPath()
    try:
        finder.offer([str(tmp_path)], ["two.inner"])
        with pytest.raises(ImportError, match=r"two\.py and two/__init__\.py could all be meant: leave one"):
            finder.find_spec("two")
        assert finder.find_spec("one") is None
    finally:
        sys.meta_path.remove(finder)


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "none"])
def test_the_supervisor_of_commands_is_not_read_again_after_the_start(place: Path, tmp_path: Path, tier: str) -> None:
    installed, marker = tmp_path / "installed", tmp_path / "marker"
    for package in ("app", "transports"):
        shutil.copytree(PROJECT / package, installed / package, ignore=shutil.ignore_patterns("__pycache__"))
    line = ("env", f"PYTHONPATH={installed / 'app'}:{installed / 'transports'}", sys.executable, "-m", "tfo_mcp")
    with serving(place, marker, *line, commands={"sandbox": tier}) as client:
        first = call(client, "execute_command", command="echo first")
        assert first["structuredContent"]["stdout"] == "first\n", first
        for module in installed.rglob("*.py"):
            module.write_text(MARKER)
        second = call(client, "execute_command", command="echo second")
        assert second["structuredContent"]["stdout"] == "second\n", second
    assert not marker.exists()


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "none"])
def test_a_checkout_that_is_served_keeps_its_code_and_its_environment(tmp_path: Path, tier: str) -> None:
    checkout = tmp_path / "checkout"
    for package in ("app", "transports"):
        shutil.copytree(PROJECT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    line = ("env", f"PYTHONPATH={checkout / 'app'}:{checkout / 'transports'}", sys.executable, "-m", "tfo_mcp")
    target = "app/tfo_mcp/infrastructure/sandbox/supervisor.py"
    with serving(checkout, tmp_path / "marker", *line, commands={"sandbox": tier}) as client:
        said = call(client, "write_file", path=target, content="x", mode="overwrite")["content"][0]["text"]
        assert "belongs to the server itself" in said
        text = f"echo x > {target}; mv app other; rm -rf transports; cat {target}; echo mine > file; cat file"
        outcome = call(client, "execute_command", command=text)["structuredContent"]
        assert outcome["stdout"] == "mine\n", outcome
    assert (checkout / target).read_bytes() == (PROJECT / target).read_bytes()
    assert (checkout / "transports" / "tfo_mcp_transports" / "asgi.py").exists()


def test_a_plugin_that_a_reload_names_is_protected_from_then_on(place: Path, tmp_path: Path) -> None:
    (place / "shop_plugin.py").write_text(PLUGIN.format(said="open"))
    with serving(place, tmp_path / "marker") as client:
        assert not call(client, "read_file", path="shop_plugin.py")["isError"]
        configuration = {"files": {"roots": [str(place)]}, "mcp": {"plugins": ["shop_plugin"]}}
        (place / "tfo-mcp.yaml").write_text(json.dumps(configuration))
        client.child.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "were reloaded" in client.child.stderr(), "the settings were reloaded")
        for name in ("shop_plugin.py", "shop_plugin/__init__.py"):
            told = call(client, "write_file", path=name, content=MARKER, create_dirs=True, mode="overwrite")
            assert "belongs to the server itself" in told["content"][0]["text"]
        assert call(client, "execute_command", command="cat shop_plugin.py")["structuredContent"]["stdout"] == ""
        assert call(client, "shop")["content"][0]["text"] == "open"
