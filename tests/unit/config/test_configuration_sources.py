"""Sources of configuration values: precedence, the choice of the file, and the decoding of variables.

Every test has its own environment and directory, so that no setting of the machine is read.
"""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from tfo_mcp.infrastructure.config import ServerSettings, Settings, load


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TELEMETRYFLOW_MCP_")]:
        monkeypatch.delenv(name)
    return tmp_path


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_the_defaults_hold() -> None:
    settings = load(environ={})
    assert settings == Settings()
    assert settings.source is None


def test_the_file_wins_over_the_default() -> None:
    settings = load(written(Path("my.yaml"), "server:\n  port: 9001\n"), environ={})
    assert (settings.server.port, settings.server.host) == (9001, "127.0.0.1")


def test_the_environment_wins_over_the_file() -> None:
    file = written(Path("my.yaml"), "server: {port: 9001, host: localhost}")
    settings = load(file, environ={"TELEMETRYFLOW_MCP_SERVER_PORT": "9002"})
    assert (settings.server.port, settings.server.host) == (9002, "localhost")


def test_the_command_line_wins_over_the_environment() -> None:
    environ = {"TELEMETRYFLOW_MCP_SERVER_PORT": "9002", "TELEMETRYFLOW_MCP_SERVER_HOST": "localhost"}
    settings = load(overrides={"server": {"port": 9003}}, environ=environ)
    assert (settings.server.port, settings.server.host) == (9003, "localhost")


def test_an_option_that_was_not_given_leaves_the_setting_to_the_next_source() -> None:
    environ = {"TELEMETRYFLOW_MCP_SERVER_PORT": "9002"}
    assert load(overrides={"server": {"port": None}}, environ=environ).server.port == 9002


def test_a_list_comes_from_one_source_as_a_whole() -> None:
    file = written(Path("my.yaml"), "mcp: {plugins: [one, two]}")
    assert load(file, environ={"TELEMETRYFLOW_MCP_MCP_PLUGINS": "three"}).mcp.plugins == ["three"]


def test_a_wrong_value_that_another_source_overrides_does_no_harm() -> None:
    file = written(Path("my.yaml"), "server: {port: none}")
    assert load(file, environ={"TELEMETRYFLOW_MCP_SERVER_PORT": "9002"}).server.port == 9002


def test_the_file_in_the_working_directory_is_read_when_none_is_named(working_directory: Path) -> None:
    written(Path("tfo-mcp.yaml"), "server: {port: 9001}")
    settings = load(environ={})
    assert settings.server.port == 9001
    assert settings.source == working_directory.resolve() / "tfo-mcp.yaml"


def test_the_environment_can_name_the_file() -> None:
    written(Path("tfo-mcp.yaml"), "server: {port: 9001}")
    written(Path("other.yaml"), "server: {port: 9002}")
    assert load(environ={"TELEMETRYFLOW_MCP_CONFIG": "other.yaml"}).server.port == 9002


def test_an_empty_variable_names_no_file() -> None:
    assert load(environ={"TELEMETRYFLOW_MCP_CONFIG": ""}).source is None


def test_the_command_line_wins_over_the_environment_in_naming_the_file() -> None:
    named = written(Path("named.yaml"), "server: {port: 9001}")
    settings = load(named, environ={"TELEMETRYFLOW_MCP_CONFIG": "missing.yaml"})
    assert (settings.server.port, settings.source) == (9001, named.resolve())


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRYFLOW_MCP_SERVER_PORT", "9004")
    assert load().server.port == 9004


def test_settings_built_in_code_read_nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRYFLOW_MCP_SERVER_PORT", "9004")
    monkeypatch.setenv("SERVER", '{"port": 9005}')
    written(Path("tfo-mcp.yaml"), "server: {port: 9001}")
    load()
    assert Settings().server.port == 8080
    assert Settings(server=ServerSettings(port=0)).server.port == 0


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "server:\n", "server: {}\n", "\ufeffserver:\n  # port: 1\n"]
)
def test_empty_files_and_empty_sections_give_nothing(text: str) -> None:
    assert load(written(Path("my.yaml"), text), environ={}).server == ServerSettings()


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", []),
        ("one.example", ["one.example"]),
        (" one.example , two.example:8443,", ["one.example", "two.example:8443"]),
        ('["one.example", "two.example:8443"]', ["one.example", "two.example:8443"]),
        ("[::1]:8080,[fe80::1]", ["[::1]:8080", "[fe80::1]"]),
        ("[]", []),
    ],
)
def test_a_variable_gives_a_list_as_json_or_separated_by_commas(text: str, hosts: list[str]) -> None:
    assert load(environ={"TELEMETRYFLOW_MCP_SERVER_ALLOWED_HOSTS": text}).server.allowed_hosts == hosts


def test_the_key_of_the_anthropic_sdk_is_honoured_over_the_file() -> None:
    file = written(Path("my.yaml"), "claude: {api_key: from-file}")
    assert load(file, environ={"ANTHROPIC_API_KEY": "from-sdk"}).claude.api_key == SecretStr("from-sdk")


def test_the_products_own_key_wins_over_that_of_the_anthropic_sdk() -> None:
    environ = {"ANTHROPIC_API_KEY": "from-sdk", "TELEMETRYFLOW_MCP_CLAUDE_API_KEY": "own\n"}
    assert load(environ=environ).claude.api_key == SecretStr("own")


@pytest.mark.parametrize("blank", ["", " \n"])
def test_an_empty_variable_of_an_optional_setting_counts_as_unset(blank: str) -> None:
    environ = {"TELEMETRYFLOW_MCP_CLAUDE_API_KEY": blank, "TELEMETRYFLOW_MCP_MCP_STATE_KEY": blank}
    settings = load(environ=environ)
    assert settings.claude.api_key is None
    assert settings.mcp.state_key is None
    assert load(environ={**environ, "ANTHROPIC_API_KEY": "from-sdk"}).claude.api_key == SecretStr("from-sdk")


def test_an_empty_text_for_an_optional_setting_in_the_file_is_unset() -> None:
    settings = load(written(Path("my.yaml"), 'claude: {api_key: "", base_url: ""}'), environ={})
    assert (settings.claude.api_key, settings.claude.base_url) == (None, None)


def test_an_empty_variable_of_a_text_is_that_text() -> None:
    file = written(Path("my.yaml"), "mcp: {instructions: Ask first.}")
    assert load(file, environ={"TELEMETRYFLOW_MCP_MCP_INSTRUCTIONS": ""}).mcp.instructions == ""
