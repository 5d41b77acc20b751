"""`server.workers`: how many processes serve, and what several of them cannot serve."""

import os
from typing import Any

import pytest

from tfo_mcp.bootstrap import ConfigurationError, Settings, load, worker_count

REDIS = {"url": "redis://127.0.0.1:1/0"}


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_one_process_needs_nothing() -> None:
    for transport in ("stdio", "http", "websocket", "sse", "unix", "all"):
        assert worker_count(settings(server={"transport": transport})) == 1


def test_several_processes_share_a_redis() -> None:
    for transport in ("http", "websocket", "sse"):
        assert worker_count(settings(server={"transport": transport, "workers": 3}, state=REDIS)) == 3


@pytest.mark.parametrize(
    ("server", "state", "named"),
    [
        ({"transport": "http"}, {}, ["state.url"]),
        ({"transport": "sse"}, {}, ["state.url"]),
        ({"transport": "unix"}, REDIS, ["unix"]),
        ({"transport": "unix"}, {}, ["unix", "state.url"]),
        ({"transport": "all"}, REDIS, ["all"]),
    ],
)
def test_what_several_processes_cannot_serve_is_refused(
    server: dict[str, Any], state: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        worker_count(settings(server={**server, "workers": 2}, state=state))
    assert len(refused.value.problems) == len(named)
    for problem, name in zip(refused.value.problems, named, strict=True):
        assert name in problem
        assert "server.workers" in problem


def test_stdio_has_one_client_and_one_process() -> None:
    assert worker_count(settings(server={"workers": 4})) == 1


def test_auto_is_the_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    several = settings(server={"transport": "http", "workers": "auto"}, state=REDIS)
    assert 1 <= worker_count(several) <= len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    assert worker_count(settings(server={"transport": "http", "workers": "auto"})) == 1


@pytest.mark.parametrize(("text", "expected"), [("3", 3), ("auto", "auto")])
def test_a_variable_sets_it(text: str, expected: object) -> None:
    assert load(None, {}, {"TELEMETRYFLOW_MCP_SERVER_WORKERS": text}).server.workers == expected


@pytest.mark.parametrize("text", ["0", "-1", "many", "1025", "2.5"])
def test_other_values_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="a whole number from 1 to 1024, or `auto`"):
        load(None, {}, {"TELEMETRYFLOW_MCP_SERVER_WORKERS": text})
