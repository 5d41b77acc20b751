"""The tools that a server offers: by preset, by name, on the command line, and when plugins register them later."""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.envelopes import LATEST_HANDSHAKE
from tests.support.processes import stdio_child
from tests.support.stdio_conversation import StdioConversation
from tfo_mcp.bootstrap.definitions import Catalogs, Definitions
from tfo_mcp.bootstrap.roots import ServedRoots
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.shapes import RootPath

FILES = {
    "read_file",
    "write_file",
    "edit_file",
    "move_file",
    "delete_file",
    "list_directory",
    "search_files",
    "file_info",
}
LOOKS = {"read_file", "list_directory", "search_files", "file_info", "echo", "system_info"}
PLUGIN = """
from tfo_mcp.plugins import Context, ToolHints, tool

@tool(hints=ToolHints(read_only=True))
def look() -> str:
    return "looked"

@tool()
def change() -> str:
    return "changed"

@tool()
async def add_changes(ctx: Context) -> str:
    await ctx.register(change)
    return "added"
"""


def offered(tools: Mapping[str, Any], folder: Path) -> set[str]:
    """Return the names of the tools that are offered with these settings, with the plugin above."""
    (folder / "selected_plugin.py").write_text(PLUGIN)
    settings = Settings.model_validate(
        {"tools": tools, "mcp": {"plugins": ["selected_plugin"]}, "source": folder / "tfo-mcp.yaml"}
    )
    definitions = Definitions(settings, ServedRoots((RootPath(folder),)))
    return {tool.name for tool in Catalogs(definitions.offered).tools}


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ({"preset": "read-only"}, {*LOOKS, "look"}),
        ({"preset": "files"}, {*FILES, "look", "change", "add_changes"}),
        ({"preset": "files", "enabled": ["echo"], "disabled": ["*change*"]}, {*FILES, "echo", "look"}),
        ({"enabled": ["read_*", "look"]}, {"read_file", "look"}),
        ({"enabled": ["*_file"], "disabled": ["delete_file", "move_file"]}, {"read_file", "write_file", "edit_file"}),
    ],
)  # fmt: skip
def test_presets_and_names_select_tools(tmp_path: Path, tools: Mapping[str, Any], expected: set[str]) -> None:
    assert offered(tools, tmp_path) == expected


def test_coding_is_files_and_commands_and_all_is_everything(tmp_path: Path) -> None:
    coding = offered({"preset": "coding", "disabled": ["*change*", "look"]}, tmp_path)
    assert coding == {*FILES, "execute_command"}
    assert offered({}, tmp_path) > coding


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ({"enabled": ["read_fil"]}, "tools.enabled: no tool matches 'read_fil'; did you mean read_file?"),
        ({"disabled": ["zzz*"]}, "tools.disabled: no tool matches 'zzz*'"),
    ],
)
def test_a_name_that_matches_no_tool_is_refused(tmp_path: Path, tools: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem.replace("*", r"\*").replace("?", r"\?")):
        offered(tools, tmp_path)


def test_the_command_line_selects_tools_and_calls_of_others_say_why(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    roots = {"files": {"roots": [str(tmp_path)]}, "tools": {"enabled": ["echo"]}}
    with (
        stdio_child(roots, arguments=["--tools", "read_*, file_info"]) as child,
        closing(StdioConversation(child, LATEST_HANDSHAKE)) as conversation,
    ):
        conversation.handshake()
        listed = [tool["name"] for tool in conversation.everything("tools/list", "tools")]
        assert listed == ["file_info", "read_file"]
        assert conversation.text("read_file", {"path": "a.txt"}) == "a\n"
        refused = conversation.error("tools/call", {"name": "write_file", "arguments": {"path": "b", "content": ""}})
        assert refused["code"] == -32001
        assert "tools.enabled" in refused["message"]
    assert not (tmp_path / "b").exists()


def test_a_tool_that_is_left_out_cannot_be_registered_later(tmp_path: Path) -> None:
    (tmp_path / "selected_plugin.py").write_text(PLUGIN)
    settings = {
        "mcp": {"plugins": ["selected_plugin"]},
        "tools": {"enabled": ["add_*", "echo"], "disabled": ["change"]},
    }
    (tmp_path / "tfo-mcp.yaml").write_text(json.dumps(settings))
    with (
        stdio_child(tmp_path / "tfo-mcp.yaml") as child,
        closing(StdioConversation(child, LATEST_HANDSHAKE)) as conversation,
    ):
        conversation.handshake()
        assert conversation.text("add_changes") == "added"
        assert conversation.error("tools/call", {"name": "change"})["code"] == -32001
        assert [tool["name"] for tool in conversation.everything("tools/list", "tools")] == ["add_changes", "echo"]
