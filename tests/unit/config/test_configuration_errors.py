"""Errors of an invalid configuration: each problem once, with its source, and never with a value."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tfo_mcp.infrastructure.config import ConfigurationError, load


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems_of(text: str | bytes = "", **environ: str) -> tuple[str, ...]:
    """Load the text as `my.yaml` with environment variables given without prefix, and return the problems."""
    Path("my.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return problems_of_load(Path("my.yaml"), {f"TELEMETRYFLOW_MCP_{name}": value for name, value in environ.items()})


def problems_of_load(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Mapping[str, object]] | None = None
) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(config, overrides or {}, environ)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert caught.value.__cause__ is None
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {prot: 1}", "unknown setting 'server.prot' (did you mean 'server.port'?)"),
        ("server: {level: info}", "unknown setting 'server.level' (did you mean 'logging.level'?)"),
        ("port: 1", "unknown setting 'port' (did you mean 'server.port'?)"),
        ("sever: {port: 1}", "unknown section 'sever' (did you mean 'server'?)"),
        ("source: a.yaml", "unknown section 'source' (did you mean 'storage'?)"),
        ("server: {port: {number: 1}}", "'server.port' must be a whole number from 0 to 65535"),
        ("server: {true: 1}", "unknown setting 'server.True' (did you mean 'server.sse'?)"),
        ("server: 8080", "'server' must be a mapping of settings"),
        ("server: [port]", "'server' must be a mapping of settings"),
        ("server", "must hold a mapping of sections such as `server:`"),
        ("- server", "must hold a mapping of sections such as `server:`"),
    ],
)
def test_a_file_of_the_wrong_shape_is_one_problem(text: str, problem: str) -> None:
    assert problems_of(text) == (f"my.yaml: {problem}",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {port: 65536}", "'server.port' must be a whole number from 0 to 65535"),
        ("server: {port: yes}", "'server.port' must be a whole number from 0 to 65535"),
        ("server: {port: null}", "'server.port' must be a whole number from 0 to 65535"),
        ("server: {host: ''}", "'server.host' must be text of at least 1 character"),
        ("server: {host: 8}", "'server.host' must be text of at least 1 character (put it in quotes)"),
        ("mcp: {instructions: yes}", "'mcp.instructions' must be text (put it in quotes)"),
        ("mcp: {plugins: my_tools}", "'mcp.plugins' must be a list of dotted Python module names"),
        (
            "mcp: {plugins: [a, b-c, 3]}",
            "'mcp.plugins' must be a list of dotted Python module names (look at item 2, 3)",
        ),
        ("mcp: {call_timeout_seconds: .inf}", "'mcp.call_timeout_seconds' must be a number above 0"),
        ("mcp: {state_key: short}", "'mcp.state_key' must be text of at least 32 characters, or null"),
        ("claude: {base_url: example.org}", "'claude.base_url' must be an http or https URL, or null"),
        ("claude: {api_key: 12345}", "'claude.api_key' must be text, or null (put it in quotes)"),
        ("logging: {level: loud}", "'logging.level' must be one of debug, info, warning, error"),
        ("security: {anonymous: no}", "'security.anonymous' must be one of none, read, all"),
    ],
)
def test_a_wrong_value_in_the_file_says_what_is_accepted(text: str, problem: str) -> None:
    assert problems_of(text) == (f"my.yaml: {problem}",)


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("SERVER_PORT", "http", "'server.port' must be a whole number from 0 to 65535"),
        ("SERVER_PORT", "", "'server.port' must be a whole number from 0 to 65535"),
        ("SERVER_ALLOWED_ORIGINS", "null", "'server.allowed_origins' must be a list of `scheme://host` or "
         "`scheme://host:port` (look at item 1)"),
        ("MCP_PLUGINS", '["a"', "'mcp.plugins' must be a list of dotted Python module names, as a JSON array or "
         "separated by commas"),
        ("MCP_PLUGINS", "[1]", "'mcp.plugins' must be a list of dotted Python module names (look at item 1)"),
        ("FILES_ROOTS", '[""]', "'files.roots' must be `client`, or a list, each item `client`, a path, or a mapping "
         "of path and read_only (item 1 is empty)"),
        ("TOOLS_ENABLED", '["echo", ""]', "'tools.enabled' must be a list of strings (item 2 is empty)"),
        ("SERVER_PROT", "1", "unknown variable (did you mean 'TELEMETRYFLOW_MCP_SERVER_PORT'?)"),
        ("PLUGINS", "a", "unknown variable (did you mean 'TELEMETRYFLOW_MCP_MCP_PLUGINS'?)"),
        ("CONFIGS", "a", "unknown variable (did you mean 'TELEMETRYFLOW_MCP_CONFIG'?)"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(variable: str, value: str, problem: str) -> None:
    assert problems_of(**{variable: value}) == (f"TELEMETRYFLOW_MCP_{variable}: {problem}",)


def test_variables_without_the_prefix_are_left_alone() -> None:
    assert load(environ={"TELEMETRYFLOW_API_KEY": "x", "SERVER_PORT": "x", "telemetryflow_mcp_x": "x"}).source is None


def test_a_wrong_option_is_named_as_one_of_the_command_line() -> None:
    overrides: dict[str, dict[str, object]] = {"server": {"port": 99999, "prot": 1}, "loging": {"level": "info"}}
    assert problems_of_load(None, {}, overrides) == (
        "command line: unknown setting 'server.prot' (did you mean 'server.port'?)",
        "command line: unknown section 'loging' (did you mean 'logging'?)",
        "command line: 'server.port' must be a whole number from 0 to 65535",
    )


def test_all_problems_of_all_sources_are_listed_at_once() -> None:
    problems = problems_of(
        "server: {prot: 1, port: x}\nclaude: 5\n", SERVER_HOTS="x", MCP_PAGE_SIZE="many", MCP_PLUGINS='["'
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "TELEMETRYFLOW_MCP_MCP_PLUGINS",
        "TELEMETRYFLOW_MCP_SERVER_HOTS",
        "my.yaml",
        "my.yaml",
        "my.yaml",
        "TELEMETRYFLOW_MCP_MCP_PAGE_SIZE",
    ]


def test_the_problems_of_a_broken_file_do_not_hide_those_of_the_environment() -> None:
    assert len(problems_of("server: [", SERVER_PORT="x")) == 2


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("server:\n  port: 'x\n", 3, 1),
        ("server:\n\tport: 1\n", 2, 1),
        ("server: {}\nmcp: {instructions: é\x07}\n", 2, 22),
        ("\x07", 1, 1),
        ("server: !!map [1]\n", 1, 9),
        ("server: *other\n", 1, 9),
        ("? [a]\n: 1\n", 1, 3),
        ("server: {}\n---\nmcp: {}\n", 2, 1),
        ("server: !!python/name:os.system x\n", 1, 9),
        ("telemetry:\n  environment: 2024-13-45\n", 2, 16),
        ("telemetry:\n  environment: !!bool x\n", 2, 16),
    ],
)
def test_invalid_yaml_is_placed_by_line_and_column(text: str, line: int, column: int) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith("my.yaml: invalid YAML: ")
    assert problem.endswith(f" (line {line}, column {column})")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server:\n  port: 1\n  host: a\n  port: 2\n", "duplicate key 'port' (line 4, column 3)"),
        ("server: {}\nmcp: {}\n'server': {}\n", "duplicate key 'server' (line 3, column 1)"),
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str, problem: str) -> None:
    assert problems_of(text) == (f"my.yaml: invalid YAML: {problem}",)


def test_a_file_that_holds_itself_is_refused_like_any_other_wrong_shape() -> None:
    assert len(problems_of("&all\nserver: *all\n")) == 1


def test_a_file_that_is_not_utf8_says_in_which_line() -> None:
    assert problems_of(b"server:\n  host: caf\xe9\n") == ("my.yaml: is not UTF-8 text (line 2)",)


def test_a_missing_file_is_named_as_it_was_given() -> None:
    assert problems_of_load(Path("no/such.yaml"), {}) == ("no/such.yaml: no such file",)


def test_a_missing_file_that_the_environment_names_is_an_error_too() -> None:
    environ = {"TELEMETRYFLOW_MCP_CONFIG": "missing.yaml"}
    assert problems_of_load(None, environ) == ("missing.yaml: no such file",)


def test_a_directory_is_no_configuration_file() -> None:
    Path("tfo-mcp.yaml").mkdir()
    assert problems_of_load(None, {}) == ("tfo-mcp.yaml: is a directory, not a file",)


def test_a_file_behind_a_broken_link_is_not_taken_for_no_file() -> None:
    Path("tfo-mcp.yaml").symlink_to("gone.yaml")
    assert problems_of_load(None, {}) == ("tfo-mcp.yaml: no such file",)


def test_a_file_that_cannot_be_opened_says_why() -> None:
    Path("loop.yaml").symlink_to("loop.yaml")
    (problem,) = problems_of_load(Path("loop.yaml"), {})
    assert problem.startswith("loop.yaml: cannot be read: ")


def test_no_problem_repeats_a_value() -> None:
    secret = "sk-ant-hunter2"
    problems = problems_of(
        f"mcp: {{state_key: {secret}, plugins: [{secret}], page_size: {secret}}}\n"
        f"claude: {{api_key: [{secret}], base_url: '{secret}', model: [{secret}]}}\n"
        f"logging: {{level: {secret}}}\nserver: {secret}\n",
        SECURITY_ANONYMOUS=secret,
        FILES_ROOTS=f'["{secret}',
        COMMANDS_TIMEOUT_SECONDS=secret,
    )
    assert len(problems) == 11
    assert secret not in "\n".join(problems)
