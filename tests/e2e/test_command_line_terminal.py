"""What the command line shows a person: signatures, scopes, completion, and progress on a terminal; and its key."""

from pathlib import Path

import pytest

from tests.e2e.one_run import run, run_on_terminal, run_together
from tests.support.processes import http_server

PLUGIN = """
from tfo_mcp.plugins import Context, ToolHints, tool

@tool(hints=ToolHints(read_only=True))
async def bake(ctx: Context, flour: int, sugar: str = "none") -> str:
    "Bake."
    for step in (1, 2):
        await ctx.progress(step, 2, f"step {step} of the recipe")
    return "a cake"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with a plugin."""
    (tmp_path / "bakery.py").write_text(PLUGIN)
    (tmp_path / "tfo-mcp.yaml").write_text("mcp: {plugins: [bakery]}\nsecurity: {anonymous: none}\n")
    return tmp_path


def test_lists_show_parameters_and_help_names_the_scopes(place: Path) -> None:
    listed, help_of_keys = run_together(
        [["list", "tools"], ["keys", "create", "--help"]], directory=place, variables={"COLUMNS": "200"}
    )
    (line,) = [line for line in listed.result.splitlines() if line.startswith("bake\t")]
    assert "flour: integer" in line
    assert "sugar" in line
    for scope in ("tools:read", "tools:write", "tools:execute", "resources:read", "telemetry:sql", "admin"):
        assert scope in help_of_keys.result


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for_shells(place: Path, shell: str) -> None:
    script = run(directory=place, variables={"_TFO_MCP_COMPLETE": f"source_{shell}"})
    assert "_TFO_MCP_COMPLETE" in script.stdout
    words = {"COMP_WORDS": "tfo-mcp te", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "tfo-mcp te"}
    words |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TFO_MCP_COMPLETE": f"complete_{shell}"}
    offered = run(directory=place, variables=words).stdout
    assert "telemetry" in offered
    assert "keys" not in offered


def test_progress_is_shown_on_a_terminal_only(place: Path) -> None:
    outcome, shown = run_on_terminal("call", "bake", "flour=500", directory=place)
    assert outcome.result == "a cake\n", shown
    assert "step 1 of the recipe" in shown
    piped = run("call", "bake", "flour=500", directory=place)
    assert "recipe" not in piped.stdout + piped.stderr


def test_a_running_server_is_called_with_a_key(place: Path) -> None:
    state = {"XDG_STATE_HOME": str(place / "state")}
    key = run("keys", "create", "--name", "ada", directory=place, variables=state).result.splitlines()[-1]
    with http_server(place / "tfo-mcp.yaml", variables=state) as server:
        call = ["call", "bake", "flour=1", "--url", server.url]
        given, wrong, none = run_together([[*call, "--key", key], [*call, "--key", "tfo_wrong"], call], directory=place)
        variable = run(*call, directory=place, variables={"TFO_MCP_KEY": key})
    assert given.result == variable.result == "a cake\n"
    for refused in (wrong, none):
        assert (refused.code, refused.stdout) == (1, "")
        assert key not in refused.stderr
        assert "key" in refused.stderr
