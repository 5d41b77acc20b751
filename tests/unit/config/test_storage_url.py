"""The forms of `storage.url`, and what is shown of it."""

import os
from pathlib import Path

import pytest

from tfo_mcp.bootstrap.storage import storage_url
from tfo_mcp.infrastructure.config import ConfigurationError, Settings, load, redacted, render_yaml

VARIABLE = "TELEMETRYFLOW_MCP_STORAGE_URL"


def settings_of(url: str) -> Settings:
    """Return the settings with this URL."""
    return load(environ={VARIABLE: url}, looks_for_file=False)


def shown(settings: Settings) -> object:
    """Return the URL as `tfo-mcp info` shows it."""
    return redacted(settings)["storage"]["url"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/tfo.db", "/var/lib/tfo.db"),
        ("sqlite:////var/lib/tfo.db", "/var/lib/tfo.db"),
        ("SQLite:///a%20b.db", "/a b.db"),
        ("sqlite:///~/tfo.db", os.path.expanduser("~/tfo.db")),
    ],
)
def test_sqlite_takes_an_absolute_path(url: str, path: str) -> None:
    found = settings_of(url).storage.url
    assert found is not None
    assert (found.kind, found.path) == ("sqlite", Path(path))
    assert shown(settings_of(url)) == f"sqlite://{path}"


@pytest.mark.parametrize(
    ("url", "visible"),
    [
        ("postgresql://ada:qqq@db.example:5433/tfo?sslmode=require", "postgresql://db.example:5433/tfo"),
        ("postgres://ada:qqq%2F@[::1]/tfo?password=qqq", "postgresql://[::1]/tfo"),
        ("postgresql://ada:qqq@qqq@one,two:5433/tfo", "postgresql://one,two:5433/tfo"),
        ("postgresql:///tfo?host=/run/postgresql&user=qqq", "postgresql:///tfo"),
    ],
)
def test_postgresql_is_shown_without_user_password_and_parameters(url: str, visible: str) -> None:
    settings = settings_of(url)
    assert settings.storage.url is not None
    assert settings.storage.url.dsn.get_secret_value() == url
    assert shown(settings) == visible
    assert "qqq" not in repr(settings.storage)


def test_unset_is_the_default() -> None:
    assert shown(load(environ={}, looks_for_file=False)) is None
    assert shown(settings_of(" ")) is None
    assert shown(settings_of("memory:")) == "memory:"
    assert render_yaml().count("  url: null") == 1


@pytest.mark.parametrize(
    ("transport", "port", "kind"),
    [
        *[(transport, 8080, "memory") for transport in ("stdio", "unix")],
        *[(transport, 8080, "sqlite") for transport in ("http", "websocket", "sse", "all")],
        ("http", 0, "memory"),
    ],
)
def test_the_default_depends_on_the_transport(
    transport: str, port: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    settings = Settings.model_validate({"server": {"transport": transport, "port": port}})
    url = storage_url(settings)
    assert url.kind == kind
    assert url.path == (None if kind == "memory" else Path("/state/tfo-mcp/tfo-mcp-8080.db"))


@pytest.mark.parametrize(
    "url",
    [
        "memory",
        "tfo.db",
        "sqlite:relative.db",
        "sqlite://host/file.db",
        "sqlite:///",
        "sqlite:///directory/",
        "sqlite:///file.db?mode=ro",
        "mysql://secret:secret@host/db",
        "postgresql://secret:secret@host",
        "postgresql://secret:sec/ret@host/db",
        "postgresql://secret:12/ret@host",
        "postgresql://secret:sec?ret@host/db",
        "postgresql://secret:sec#ret@host/db",
        "postgresql://secret:secret@host/one/two",
        "postgresql://secret:secret@host:port/db",
        "postgresql://[secret/db",
        "postgresql:///db",
    ],
)
def test_another_form_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_of(url)
    (problem,) = refused.value.problems
    assert "'storage.url' must be `memory:`, `sqlite:///` with an absolute path, `postgresql" in problem
    assert "secret" not in problem
