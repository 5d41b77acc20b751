"""`--json` of sub-commands that report: one JSON value on standard output, whatever the exit code."""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.one_run import Outcome, run
from tests.support.processes import NO_STORE, free_port, http_server

WITHOUT_JSON = {"serve", "dev", "telemetry serve"}
"""Commands that report nothing: they run until they are ended."""
REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]


def asked(place: Path, *arguments: str, code: int = 0) -> Any:
    """Run a command with `--json` and the state in `place`; return what it printed."""
    outcome: Outcome = run(*arguments, "--json", directory=place, variables={"XDG_STATE_HOME": str(place / "state")})
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.stderr
    return json.loads(outcome.stdout)


def configured(place: Path, **sections: object) -> str:
    path = place / "tfo-mcp.yaml"
    path.write_text(json.dumps(sections), encoding="utf-8")
    return str(path)


def test_info(tmp_path: Path) -> None:
    source = configured(tmp_path, server={"port": 8123}, mcp={"state_key": "s" * 40})
    found = asked(tmp_path, "info")
    assert (found["version"], found["protocol_revisions"]) == (version("tfo-mcp"), REVISIONS)
    assert (found["configuration"], found["settings"]["server"]["port"]) == (source, 8123)
    assert "s" * 40 not in json.dumps(found)


def test_validate(tmp_path: Path) -> None:
    nothing: dict[str, object] = {"problems": [], "warnings": []}
    assert asked(tmp_path, "validate") == {"valid": True, "configuration": None, **nothing}
    source = configured(tmp_path, server={"port": 8123})
    assert asked(tmp_path, "validate") == {"valid": True, "configuration": source, **nothing}
    configured(tmp_path, server={"prot": 1, "port": "eighty"})
    found = asked(tmp_path, "validate", code=2)
    assert found["valid"] is False
    assert len(found["problems"]) == 2
    configured(tmp_path, mcp={"plugins": ["none_such"]})
    assert "none_such" in asked(tmp_path, "validate", code=2)["problems"][0]


def test_health_and_reload(tmp_path: Path) -> None:
    port = free_port()
    source = configured(tmp_path, server={"port": port})
    unreachable = asked(tmp_path, "health", code=1)
    assert (unreachable["status"], unreachable["failing"]) == ("unreachable", [])
    assert f"127.0.0.1:{port}" in unreachable["problem"]
    with http_server(Path(source), variables={"XDG_STATE_HOME": str(tmp_path / "state")}) as server:
        configured(tmp_path, server={"port": server.port})
        assert asked(tmp_path, "health") == {"status": "ready", "failing": []}
        assert asked(tmp_path, "reload") == [{"pid": server.child.pid, "problems": []}]
        configured(tmp_path, server={"port": server.port}, mcp={"plugins": ["none_such"]})
        (outcome,) = asked(tmp_path, "reload", code=1)
        assert outcome["pid"] == server.child.pid
        assert "none_such" in outcome["problems"][0]


def test_keys(tmp_path: Path) -> None:
    created = asked(tmp_path, "keys", "create", "--name", "ci", "--scope", "tools:read")
    assert created["scopes"] == ["tools:read"]
    assert created["id"] in created["key"]
    rotated = asked(tmp_path, "keys", "rotate", created["id"], "--grace", "1h")
    assert rotated["key"] != created["key"]
    assert {key["id"] for key in asked(tmp_path, "keys", "list")} == {created["id"], rotated["id"]}
    assert asked(tmp_path, "keys", "revoke", created["id"]) == {"revoked": created["id"]}
    file = str(tmp_path / "keys.json")
    assert asked(tmp_path, "keys", "export", file) == {"written": 2, "file": file}
    assert asked(tmp_path, "keys", "import", file) == {"added": 0, "kept": 2}


def test_migrate(tmp_path: Path) -> None:
    configured(tmp_path, storage={"url": f"sqlite:///{tmp_path / 'state.db'}"})
    before, after = asked(tmp_path, "migrate", "status"), asked(tmp_path, "migrate", "up")
    assert before["revision"] is None
    assert "lack the revisions" in before["problem"]
    assert after == {"database": before["database"], "revision": after["revision"], "problem": None}
    assert asked(tmp_path, "migrate", "down", "--yes")["revision"] != after["revision"]


def helps(*group: str, place: Path) -> dict[str, str]:
    """Return the help of each command below a group, by its name, as the help of the group lists them."""
    shown = run(*group, "--help", directory=place).result
    names = re.findall(r"^\W*([a-z-]+)  ", shown.partition("Commands")[2], re.MULTILINE)
    if not names:
        return {" ".join(group): shown}
    return {name: text for each in names for name, text in helps(*group, each, place=place).items()}


def test_every_command_that_reports_has_the_option(tmp_path: Path) -> None:
    found = {name: shown for name, shown in helps(place=tmp_path).items() if name not in WITHOUT_JSON}
    assert {"keys create", "events dead list", "telemetry export", "install", "init-config"} <= set(found)
    assert [name for name, shown in found.items() if "--json" not in shown] == []


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["call", "nosuch"], 1, "nosuch"),
        (["call", "echo", "{"], 1, "JSON"),
        (["call", "echo", "--url", "http://[::1"], 1, "--url"),
        (["read", "nosuch://x"], 1, "nosuch://x"),
        (["prompt", "nosuch"], 1, "nosuch"),
        (["list", "tools", "--url", "http://127.0.0.1:1/mcp"], 1, "127.0.0.1:1"),
        (["keys", "revoke", "zz"], 2, "zz"),
        (["keys", "import", "none.json"], 2, "none.json"),
        (["migrate", "status"], 2, "storage.url"),
        (["reload"], 1, "no server"),
        (["audit", "tail"], 2, "audit log"),
        (["events", "tail"], 2, "events"),
        (["events", "replay", "--since", "1h"], 2, "events"),
        (["telemetry", "export"], 2, "telemetry"),
        (["info", "--config", "none.yaml"], 2, "none.yaml"),
        (["init-config", "--output", "."], 2, "directory"),
        (["install", "cursor"], 2, "--root"),
    ],
)
def test_a_failure_is_an_object_with_the_problem_and_a_line_for_people(
    tmp_path: Path, line: list[str], code: int, said: str
) -> None:
    variables = {"XDG_STATE_HOME": str(tmp_path / "state"), **NO_STORE}
    (tmp_path / "work").mkdir()
    plain, outcome = (run(*line, *more, directory=tmp_path / "work", variables=variables) for more in ((), ("--json",)))
    assert (plain.code, plain.stdout) == (code, "")
    assert (outcome.code, outcome.stderr) == (code, plain.stderr)
    found = json.loads(outcome.stdout)
    assert list(found) == ["problem"]
    assert said in found["problem"]
    assert outcome.stderr == f"tfo-mcp: {found['problem']}\n"
    assert len(outcome.stdout.splitlines()) == 1


def test_lines_of_json_are_the_same_with_the_option(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    configured(tmp_path, security={"audit_file": str(tmp_path / "audit.jsonl")})
    (tmp_path / "audit.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    plain, outcome = (run("audit", "tail", *more, directory=tmp_path, variables=state) for more in ((), ("--json",)))
    assert outcome.result == plain.result == '{"a": 1}\n{"b": 2}\n'


def test_init_config(tmp_path: Path) -> None:
    assert asked(tmp_path, "init-config", "--output", "mine.yaml") == {"written": "mine.yaml"}


def test_install(tmp_path: Path) -> None:
    project, file = ("--project", "--root", str(tmp_path)), tmp_path / ".codex" / "config.toml"
    install = ("install", "codex", *project)
    printed = asked(tmp_path, *install, "--print")
    assert (printed["host"], printed["name"], printed["outcome"]) == ("codex", "tfo-mcp", "printed")
    added, again = asked(tmp_path, *install), asked(tmp_path, *install)
    assert added == {**printed, "outcome": "added", "file": str(file), "backup": None}
    assert again == {**added, "outcome": "unchanged"}
    removed = asked(tmp_path, "install", "codex", "--project", "--remove")
    assert (removed["outcome"], removed["entry"], removed["file"]) == ("removed", None, str(file))
    assert Path(removed["backup"]).exists()
    link = asked(tmp_path, "install", "cursor", *project, "--deeplink")
    assert link["link"].startswith("cursor://")
    file.write_text("mcp_servers = 1")
    refused = asked(tmp_path, *install, code=1)
    assert (refused["outcome"], refused["entry"]) == ("unchanged", printed["entry"])
    assert "not a table" in refused["problem"]
