"""The subcommands that only read, or write one file: --version, validate, info, init-config, list.

Each test runs the installed command in an empty directory. `call` and `serve` have modules of their own.
"""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.e2e.one_run import run, run_together

SECRET = "sk-ant-secret-0123456789"
PASSWORD = "open-sesame"
EIGHT_TOOLS = [
    "claude_conversation",
    "echo",
    "execute_command",
    "list_directory",
    "read_file",
    "search_files",
    "system_info",
    "write_file",
]
BROKEN = [
    ("server: {prot: 9000}", ["server.prot", "server.port"]),
    ("server: {port: eighty}", ["server.port", "65535"]),
    ("server: [", ["YAML"]),
    ("mcp: {plugins: [none_such]}", ["none_such"]),
    ("files: {roots: [none_such]}", ["none_such"]),
]
LISTS = {
    "tools": EIGHT_TOOLS,
    "resources": ["config://server", "status://health", "file:///{path}"],
    "prompts": ["code_review", "explain_code", "debug_help"],
}


def test_version_and_help_are_shown(tmp_path: Path) -> None:
    shown, help_text = run_together([["--version"], ["--help"]], directory=tmp_path)
    assert shown.result == f"tfo-mcp {version('tfo-mcp')}\n"
    for name in ("serve", "validate", "info", "init-config", "list", "call"):
        assert re.search(rf"\b{name}\b", help_text.result)


def test_init_config_writes_a_file_that_is_valid_and_overwrites_none_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "tfo-mcp.yaml"
    printed, written, nowhere = run_together(
        [["init-config", "-o", "-"], ["init-config"], ["init-config", "--output", "nowhere/file.yaml"]],
        directory=tmp_path,
    )
    assert (written.code, "nowhere" in nowhere.only_complaint) == (0, True)
    assert printed.result == path.read_text(encoding="utf-8")
    assert str(path) in run("validate", directory=tmp_path).result

    path.write_text("server: {port: 8099}\n", encoding="utf-8")
    assert "--force" in run("init-config", directory=tmp_path).only_complaint
    assert path.read_text(encoding="utf-8") == "server: {port: 8099}\n"
    assert run("init-config", "--force", directory=tmp_path).code == 0
    assert path.read_text(encoding="utf-8") == printed.result


def test_validate_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    for number, (content, _) in enumerate(BROKEN):
        (tmp_path / f"{number}.yaml").write_text(content, encoding="utf-8")
    lines = [["validate", "--config", f"{number}.yaml"] for number in range(len(BROKEN))]
    outcomes = run_together(lines, directory=tmp_path)
    for (content, said), outcome in zip(BROKEN, outcomes, strict=True):
        for word in said:
            assert word in outcome.only_complaint, content


def test_validate_warns_of_tools_that_hosts_refuse(tmp_path: Path) -> None:
    (tmp_path / "dotted.py").write_text(
        "from tfo_mcp.plugins import tool\n@tool('my.tool')\ndef my_tool() -> str:\n    'Mine.'\n    return ''\n"
    )
    (tmp_path / "tfo-mcp.yaml").write_text("mcp: {plugins: [dotted]}")
    outcome = run("validate", directory=tmp_path).result
    assert outcome.startswith("Warning: tool my.tool: a name with a dot is refused by the Anthropic")
    assert "\nValid: " in outcome


def test_validate_names_an_unknown_variable_and_a_missing_file(tmp_path: Path) -> None:
    variables = {"TELEMETRYFLOW_MCP_SERVER_PROT": "9000"}
    assert "_SERVER_PORT" in run("validate", directory=tmp_path, variables=variables).only_complaint
    assert "none.yaml" in run("validate", "--config", "none.yaml", directory=tmp_path).only_complaint


def test_info_shows_settings_and_revisions_but_no_secret(tmp_path: Path) -> None:
    variables = {
        "ANTHROPIC_API_KEY": SECRET,
        "TELEMETRYFLOW_MCP_CLAUDE_BASE_URL": f"http://user:{PASSWORD}@127.0.0.1:9/",
        "TELEMETRYFLOW_MCP_MCP_STATE_KEY": f"{SECRET}{SECRET}",
        "TELEMETRYFLOW_MCP_SERVER_PORT": "8123",
    }
    (tmp_path / "tfo-mcp.yaml").write_text("logging: {level: error}\n", encoding="utf-8")
    text = run("info", directory=tmp_path, variables=variables).result
    assert SECRET not in text
    assert PASSWORD not in text
    for shown in (version("tfo-mcp"), "2024-11-05", "2026-07-28", str(tmp_path / "tfo-mcp.yaml"), "8123", "error"):
        assert shown in text
    assert re.search(r"claude\.api_key\W+set", text)


def test_list_shows_what_the_server_offers(tmp_path: Path) -> None:
    *lists, wrong = run_together([["list", kind] for kind in (*LISTS, "everything")], directory=tmp_path)
    for names, shown in zip(LISTS.values(), lists, strict=True):
        for name in names:
            assert re.search(rf"(?m)^\W*{re.escape(name)}\s", shown.result), name
    assert (wrong.code, "prompts" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("tools", "place"), [("echo,", "name 2"), (",echo", "name 1"), ("a, ,b", "name 2"), ("", "no tool")]
)
def test_an_empty_name_of_a_tool_is_explained(tmp_path: Path, tools: str, place: str) -> None:
    for option in (["--tools", tools], [f"--tools={tools}"]):
        complaint = run("serve", "--transport", "stdio", *option, directory=tmp_path).only_complaint
        assert place in complaint
        assert complaint.startswith("tfo-mcp: --tools: ")
