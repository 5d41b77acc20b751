"""`--json` of sub-commands that report: one JSON value on standard output, whatever the exit code."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.e2e.one_run import Outcome, run
from tests.support.processes import free_port, http_server

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
