"""`tfo-mcp doctor` reports the features of the machine, the usable configuration and its sources."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import await_socket, child, free_port, run_command
from tfo_mcp.infrastructure.sandbox import tiers

SECRET = "sk-must-not-be-seen"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory without a configuration, with a root in it."""
    (tmp_path / "root").mkdir()
    return tmp_path


def run(place: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    given = {"TELEMETRYFLOW_MCP_FILES_ROOTS": "root", "TELEMETRYFLOW_MCP_SERVER_PORT": str(free_port())}
    return run_command("doctor", *arguments, directory=place, variables={**given, **(variables or {})})


def examined(place: Path, variables: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the findings, by section and subject."""
    ran = run(place, "--json", variables=variables)
    found = json.loads(ran.stdout)
    sections = ("sandbox", "roots", "ports")
    return ran.returncode, {
        **{section: {entry["subject"]: entry for entry in found[section]} for section in sections},
        "settings": {entry["name"]: entry for entry in found["settings"]},
    }


def test_where_all_is_well_it_says_so_and_succeeds(place: Path) -> None:
    code, found = examined(place)
    assert code == 0
    assert {"openat2", "Landlock", "seccomp", "bubblewrap", "commands", "searches"} <= set(found["sandbox"])
    machine = tiers.find()
    for subject, problem in (("Landlock", machine.landlock), ("bubblewrap", machine.bubblewrap)):
        assert (found["sandbox"][subject]["status"] == "ok") == (problem is None)
    assert f"are run in {machine.choose('auto')}" in found["sandbox"]["commands"]["detail"]
    assert found["roots"][str(place / "root")]["detail"] == "readable and writable"
    (port,) = found["ports"].values()
    assert (port["status"], port["detail"]) == ("ok", "free")


def test_people_get_the_same_as_lines(place: Path) -> None:
    ran = run(place)
    assert ran.returncode == 0
    assert ran.stderr == ""
    for words in ("sandbox\n", "Landlock", "roots\n", "readable and writable", "ports\n", "free", "settings\n"):
        assert words in ran.stdout
    assert '  files.roots: ["root"]  (TELEMETRYFLOW_MCP_FILES_ROOTS)\n' in ran.stdout


def test_a_tier_that_is_wanted_and_not_there_is_in_the_way(place: Path) -> None:
    programs = place / "programs"
    programs.mkdir()
    variables = {"PATH": str(programs), "TELEMETRYFLOW_MCP_COMMANDS_SANDBOX": "bwrap"}
    code, found = examined(place, variables)
    assert code == 1
    assert "not installed" in found["sandbox"]["bubblewrap"]["detail"]
    assert found["sandbox"]["commands"]["status"] == "broken"
    assert "are not run (commands.sandbox: bwrap): bwrap: bubblewrap" in found["sandbox"]["commands"]["detail"]
    code, found = examined(place, {"TELEMETRYFLOW_MCP_COMMANDS_SANDBOX": "none"})
    assert (code, found["sandbox"]["commands"]["status"]) == (0, "note")


def test_programs_that_commands_would_not_see_are_told(place: Path) -> None:
    (place / "programs").mkdir()
    path = f"{os.environ['PATH']}{os.pathsep}{place / 'programs'}"
    _, found = examined(place, {"PATH": path})
    assert str(place / "programs") in found["sandbox"]["programs"]["detail"]
    _, found = examined(place, {"PATH": path, "TELEMETRYFLOW_MCP_COMMANDS_READABLE": str(place / "programs")})
    assert str(place / "programs") not in found["sandbox"].get("programs", {"detail": ""})["detail"]


@pytest.mark.parametrize(
    ("roots", "subject", "status", "words"),
    [
        ('["none"]', "none", "broken", "No such file or directory"),
        ('["/proc"]', "/proc", "broken", "cannot be served"),
        ('["file"]', "file", "broken", "Not a directory"),
        ('[{"path": "root", "read_only": true}]', "root", "ok", "readable, served for reading only"),
        ('["root", {"path": "root/inner", "read_only": true}]', "together", "broken", "cannot be read-only inside"),
    ],
)
def test_each_root_is_tried(place: Path, roots: str, subject: str, status: str, words: str) -> None:
    (place / "file").touch()
    (place / "root" / "inner").mkdir()
    code, found = examined(place, {"TELEMETRYFLOW_MCP_FILES_ROOTS": roots})
    key = subject if subject == "together" else str(place / subject)
    assert found["roots"][key]["status"] == status
    assert words in found["roots"][key]["detail"]
    assert code == (1 if status == "broken" else 0)


def test_an_address_that_is_in_use_is_in_the_way(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(place / "s"))
        unix.listen()
        port = busy.getsockname()[1]
        variables = {
            "TELEMETRYFLOW_MCP_SERVER_PORT": str(port),
            "TELEMETRYFLOW_MCP_SERVER_SOCKET_PATH": str(place / "s"),
        }
        code, found = examined(place, variables)
    assert code == 1
    assert "Address already in use" in found["ports"][f"127.0.0.1:{port}"]["detail"]
    assert "another process listens there" in found["ports"][str(place / "s")]["detail"]
    assert (place / "s").exists()


def test_what_is_configured_is_told_with_its_origin_and_without_secrets(place: Path) -> None:
    (place / "tfo-mcp.yaml").write_text("mcp: {page_size: 7}\nlogging: {level: info}\nserver: {port: 1}\n")
    variables = {"ANTHROPIC_API_KEY": SECRET}
    for arguments in ((), ("--json",)):
        ran = run(place, *arguments, variables=variables)
        assert SECRET not in ran.stdout + ran.stderr
        assert "mcp.page_size" in ran.stdout
    _, found = examined(place, variables)
    settings = {name: (entry["value"], entry["origin"]) for name, entry in found["settings"].items()}
    assert settings["mcp.page_size"] == (7, "tfo-mcp.yaml")
    assert settings["logging.level"] == ("info", "tfo-mcp.yaml")
    assert settings["claude.api_key"] == ("set", "ANTHROPIC_API_KEY")
    assert settings["server.port"][1] == "TELEMETRYFLOW_MCP_SERVER_PORT"
    assert "mcp.cache_ttl_ms" not in settings
    assert found["settings"]["logging.level"]["is_default"]


def test_a_configuration_that_cannot_be_read_is_an_error_as_everywhere(place: Path) -> None:
    ran = run(place, variables={"TELEMETRYFLOW_MCP_SERVER_PORT": "http"})
    assert ran.returncode == 2
    assert "'server.port' must be a whole number" in ran.stderr


def test_the_running_server_of_this_configuration_is_recognized(place: Path) -> None:
    port, config = free_port(), place / "mine.yaml"
    config.write_text(json.dumps({"server": {"port": port}}))
    variables = {"XDG_STATE_HOME": str(place / "state"), "TELEMETRYFLOW_MCP_SERVER_PORT": str(port)}
    with child(
        ["serve", "--transport", "http", "--config", str(config)], directory=place, variables=variables
    ) as server:
        wait_until(lambda: _answers(port), "the server listens")
        own = run(place, "--json", "--config", str(config), variables=variables)
        other = run(place, "--json", variables=variables)
    (found,) = json.loads(own.stdout)["ports"]
    assert (found["status"], str(server.process.pid) in found["detail"]) == ("ok", True)
    (found,) = json.loads(other.stdout)["ports"]
    assert (found["status"], other.returncode) == ("broken", 1)


def test_the_unix_socket_of_the_running_server_is_recognized(place: Path) -> None:
    config, path = place / "mine.yaml", place / "own.sock"
    config.write_text(json.dumps({"server": {"socket_path": str(path), "transport": "unix"}}))
    variables = {"XDG_STATE_HOME": str(place / "state")}
    with child(["serve", "--config", str(config)], directory=place, variables=variables) as server:
        await_socket(server, path)
        ran = run(place, "--json", "--config", str(config), variables=variables)
        found = {entry["subject"]: entry for entry in json.loads(ran.stdout)["ports"]}[str(path)]
        assert (found["status"], str(server.process.pid) in found["detail"]) == ("ok", True)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except OSError:
        return False
    return True
