"""deploy/systemd: systemd accepts the unit, and its command line exists."""

import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PROJECT, command

UNIT = PROJECT / "deploy" / "systemd" / "tfo-mcp.service"


def lines() -> list[str]:
    return UNIT.read_text().splitlines()


def value(name: str) -> str:
    (found,) = [line.partition("=")[2] for line in lines() if line.startswith(f"{name}=")]
    return found


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    installed = value("ExecStart").split()[0]
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(installed, sys.executable))  # systemd requires an existing program
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_agents_can_change_is_made_by_systemd_and_is_not_where_the_keys_are() -> None:
    """The working directory is the default root. tests/e2e/test_documented_deployments.py tests its protection."""
    state, workspace = (f"/var/lib/{name}" for name in value("StateDirectory").split())
    assert f"XDG_STATE_HOME={state.rpartition('/')[0]} " in value("Environment")
    assert (state, value("WorkingDirectory")) == ("/var/lib/tfo-mcp", workspace)


def test_what_it_runs_is_a_command_that_there_is() -> None:
    _, *arguments = shlex.split(value("ExecStart"))
    done = subprocess.run([*command(), *arguments, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_is_time_to_drain_and_a_way_to_reload() -> None:
    assert int(value("TimeoutStopSec")) > 30
    assert value("ExecReload") == "/bin/kill -HUP $MAINPID"
    assert value("KillMode") == "mixed"
