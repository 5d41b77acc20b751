"""The settings model: accepted values, immutability, normalisation, and representations without secrets."""

import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr, ValidationError

from tfo_mcp.infrastructure.config import (
    ClaudeSettings,
    FilesSettings,
    LoggingSettings,
    McpSettings,
    ServerSettings,
    Settings,
    redacted,
)
from tfo_mcp.infrastructure.config.reference import sections, settings_by_name
from tfo_mcp.infrastructure.config.shapes import RootPath


def test_every_setting_has_a_meaning_and_is_bounded_where_it_counts_something() -> None:
    for setting in settings_by_name().values():
        assert setting.meaning.endswith("."), setting.name
        if isinstance(setting.default, int | float) and not isinstance(setting.default, bool):
            bounded = ("a number above", "a number from", "a whole number of", "a whole number from")
            assert setting.accepts.startswith(bounded), setting.name


def test_every_default_passes_its_own_check() -> None:
    for section in sections():
        model = type(getattr(Settings(), section.name))
        model.model_validate({setting.key: setting.default for setting in section.settings})


def test_every_duration_and_size_has_its_unit_in_its_name() -> None:
    for setting in settings_by_name().values():
        if isinstance(setting.default, float):
            assert setting.key.endswith(("_seconds", "_ratio")), setting.name


def test_the_default_model_is_known_to_the_sdk_and_not_deprecated() -> None:
    from anthropic.resources.messages.messages import DEPRECATED_MODELS  # takes three seconds, also of other processes
    from anthropic.types import Model

    known = {name for part in get_args(Model) for name in get_args(part)}
    assert ClaudeSettings().model in known - set(DEPRECATED_MODELS)


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.server.port = 1
    with pytest.raises(ValidationError):
        settings.server = ServerSettings()


@pytest.mark.parametrize(
    "host", ["mcp.example.org", "localhost:8443", "192.0.2.1:80", "[::1]", "[2001:db8::1]:8080", "a_b"]
)
def test_a_host_is_a_name_with_or_without_a_port(host: str) -> None:
    assert ServerSettings(allowed_hosts=[host.upper()]).allowed_hosts == [host]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        "*.example.org",
        "http://a",
        "a/b",
        "a:0",
        "a:65536",
        "a:",
        "a:b",
        "::1",
        "-a",
        "a.",
        "a b",
        "u@a",
        "a\n",
        "é",
    ],
)
def test_anything_else_is_no_host(host: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(allowed_hosts=[host])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://App.Example.org", "https://app.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://example.org:443", "https://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("http://example.org:8080", "http://example.org:8080"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, kept: str) -> None:
    assert ServerSettings(allowed_origins=[given]).allowed_origins == [kept]


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "NULL",
        "*",
        "",
        "example.org",
        "https://",
        "https://a/",
        "https://a/b",
        "https://a?b",
        "https://u:p@a",
        "https://*.a",
        "https://a:99999",
        "https://a#b",
        "//a",
        "https://a b",
        "file:///a",
        "https://a\n",
    ],
)
def test_anything_else_is_no_origin(origin: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(allowed_origins=[origin])


@pytest.mark.parametrize(
    "url", ["https://api.example.org", "http://127.0.0.1:8081/v1", "http://[::1]:1", "https://u:p@a.b"]
)
def test_the_address_of_the_api_is_a_web_url(url: str) -> None:
    assert ClaudeSettings(base_url=f" {url}\n").base_url == url


@pytest.mark.parametrize(
    "url", ["api.example.org", "ftp://a", "https://", "http://a:b", "http://a:0", "http://[a", "file:///a"]
)
def test_anything_else_is_no_address_of_the_api(url: str) -> None:
    with pytest.raises(ValidationError):
        ClaudeSettings(base_url=url)


@pytest.mark.parametrize(
    "module", ["", "my-tools", "my tools", ".tools", "tools.", "a..b", "a/b", "1a", "my_tools.py:x"]
)
def test_a_plugin_that_is_no_module_name_is_refused(module: str) -> None:
    with pytest.raises(ValidationError):
        McpSettings(plugins=[module])


def test_an_empty_root_is_refused_as_it_would_mean_the_working_directory() -> None:
    with pytest.raises(ValidationError):
        FilesSettings.model_validate({"roots": [""]})


def test_a_root_may_start_at_the_home_directory() -> None:
    assert FilesSettings.model_validate({"roots": ["~/notes", "data"]}).roots == [
        RootPath(Path.home() / "notes"),
        RootPath(Path("data")),
    ]


@pytest.mark.parametrize("value", [True, "nan", float("inf"), 0, -1, "soon", None])
def test_a_duration_is_a_finite_number_above_zero(value: object) -> None:
    with pytest.raises(ValidationError):
        McpSettings.model_validate({"call_timeout_seconds": value})


@pytest.mark.parametrize("value", [True, -1, 65536, 80.5, "http", None, [80]])
def test_a_port_is_a_whole_number_in_range(value: object) -> None:
    with pytest.raises(ValidationError):
        ServerSettings.model_validate({"port": value})


def test_a_short_state_key_is_refused_without_showing_it() -> None:
    with pytest.raises(ValidationError) as caught:
        McpSettings(state_key=SecretStr("too-short-key"))
    assert "too-short-key" not in str(caught.value)


def test_the_section_may_be_built_with_its_own_values() -> None:
    assert LoggingSettings(level="debug").level == "debug"


def secretive() -> Settings:
    return Settings(
        claude=ClaudeSettings(api_key=SecretStr("sk-very-secret"), base_url="https://user:hunter2@api.example.org/v1"),
        mcp=McpSettings(state_key=SecretStr("k" * 40), instructions="Docs at https://me:hunter2@docs.example.org ok"),
        files=FilesSettings(roots=[RootPath(Path("/srv/data")), RootPath(Path("/srv/kept"), read_only=True)]),
        source=Path("/etc/tfo-mcp.yaml"),
    )


def test_redacted_settings_show_every_setting_as_json_and_no_secret() -> None:
    shown = redacted(secretive())
    assert {f"{section}.{key}" for section, values in shown.items() for key in values} == set(settings_by_name())
    assert shown["claude"]["api_key"] == shown["mcp"]["state_key"] == "set"
    assert shown["claude"]["base_url"] == "https://api.example.org/v1"
    assert shown["mcp"]["instructions"] == "Docs at https://docs.example.org ok"
    assert shown["files"]["roots"] == ["/srv/data", {"path": "/srv/kept", "read_only": True}]
    text = json.dumps(shown)
    assert not [secret for secret in ("sk-very-secret", "hunter2", "kkkk") if secret in text]


def test_redacted_settings_show_unset_secrets_as_null() -> None:
    shown = redacted(Settings())
    assert (shown["claude"]["api_key"], shown["mcp"]["state_key"]) == (None, None)


def test_the_printed_form_of_the_settings_holds_no_secret() -> None:
    text = repr(secretive()) + str(secretive())
    assert not [secret for secret in ("sk-very-secret", "hunter2@api", "kkkk") if secret in text]
