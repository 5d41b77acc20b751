"""Standard streams that are closed, full, left by their reader, or of another encoding than UTF-8.

Every sub-command ends clearly and without a traceback; a server over stdio needs its input and output only.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.e2e import one_run
from tests.e2e.one_run import Outcome
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.processes import LOOPBACK, NO_TLS, PROJECT, command, environment, free_port

TEXT = "€ 😀 ü Ж"
COMMANDS: Sequence[Sequence[str]] = [
    ["call", "echo", json.dumps({"message": TEXT}, ensure_ascii=False)],
    ["call", "no-such-tool-ü"],
    ["list", "tools"],
    ["keys", "create", "--name", f"key {TEXT}"],
    ["keys", "list"],
    ["audit", "tail"],
    ["doctor"],
    ["info"],
    ["validate"],
    ["health"],
    ["init-config", "-o", "-"],
    ["install", "cursor", "--print", "--root", "ordner ü €"],
    ["--help"],
    ["no-such-command-€"],
]
ENCODINGS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp437"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
CLOSED = [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"]
BETWEEN = "--next-command-line"


def run(line: Sequence[str], place: Path, redirections: str = "", variables: dict[str, str] | None = None) -> Outcome:
    """Run a command with the shell's redirections, without input."""
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {redirections}', "sh", *line],
        cwd=place,
        env=environment({**state_in(place), **(variables or {})}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    return Outcome(ended.returncode, ended.stdout.decode("latin-1"), ended.stderr.decode("latin-1"))


def state_in(place: Path) -> dict[str, str]:
    return {"HOME": str(place), "XDG_STATE_HOME": str(place / "state")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with an audit log and a key."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "ordner ü €").mkdir()
    for line in (["keys", "create", "--name", "first"], ["call", "echo", '{"message": "first"}']):
        assert one_run.run(*line, directory=folder, variables=state_in(folder)).code == 0
    return folder


def each_ends_clearly(place: Path, redirections: str = "", variables: dict[str, str] | None = None) -> None:
    """Run every command in a fork of one interpreter with these redirections, and check that it ends clearly."""
    codes = place / "codes.json"
    codes.unlink(missing_ok=True)
    sources = os.pathsep.join(str(PROJECT / folder) for folder in (".", "app", "transports"))
    lines = [argument for line in COMMANDS for argument in (BETWEEN, *line)]
    forks = [sys.executable, "-m", "tests.e2e.command_forks", str(codes), *lines]
    outcome = run(forks, place, redirections, {**(variables or {}), "PYTHONPATH": sources})
    assert "Traceback" not in outcome.stderr + outcome.stdout, outcome
    assert "Exception ignored" not in outcome.stderr, outcome
    ends = dict(zip(map(" ".join, COMMANDS), json.loads(codes.read_text()), strict=True))
    assert set(ends.values()) <= {0, 1, 2}, (ends, outcome)


@pytest.mark.parametrize("variables", ENCODINGS, ids=lambda variables: next(iter(variables.values())))
def test_a_terminal_of_another_encoding_ends_no_command_with_a_traceback(
    variables: dict[str, str], place: Path
) -> None:
    each_ends_clearly(place, variables=variables)


@pytest.mark.parametrize("variables", ENCODINGS, ids=lambda variables: next(iter(variables.values())))
def test_what_the_encoding_lacks_is_escaped(variables: dict[str, str], place: Path) -> None:
    outcome = run([*command(), *COMMANDS[0]], place, variables=variables)
    assert outcome.code == 0
    assert "\\u20ac \\U0001f600" in outcome.stdout


@pytest.mark.parametrize("closed", CLOSED)
def test_a_closed_or_full_stream_ends_no_command_with_a_traceback(closed: str, place: Path) -> None:
    each_ends_clearly(place, closed)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_ends_no_command_with_a_traceback(unbuffered: str, place: Path) -> None:
    each_ends_clearly(place, "| true", {"PYTHONUNBUFFERED": unbuffered})


def stdio(place: Path, redirections: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *command(), "serve", "--transport", "stdio"],
        cwd=place,
        env=environment({"XDG_STATE_HOME": str(place / "state")}),
        input=text,
        capture_output=True,
        timeout=3 * PATIENCE,
        check=False,
    )


def test_a_server_over_stdio_needs_no_standard_error(place: Path) -> None:
    message = json.dumps(request(7, "initialize", initialize_params(LATEST_HANDSHAKE))).encode() + b"\n"
    ended = stdio(place, "2>&-", message)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["id"] == 7
    assert stdio(place, "2>&-").returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_a_server_over_stdio_without_input_or_output_ends_with_one_line(place: Path, closed: str) -> None:
    ended = stdio(place, closed)
    assert ended.returncode == 2
    assert re.fullmatch(r"tfo-mcp: [^\n]*standard input and output[^\n]*\n", ended.stderr.decode())


@pytest.mark.parametrize("redirections", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full"])
def test_a_server_over_http_needs_no_standard_streams(place: Path, redirections: str) -> None:
    port = free_port()
    line = [*command(), "serve", "--transport", "http", "--port", str(port)]
    server = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *line],
        cwd=place,
        env=environment({"XDG_STATE_HOME": str(place / "state")}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port), "the server's health page")
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    finally:
        server.kill()
        server.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/healthz", trust_env=False, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def test_a_person_who_starts_the_server_on_a_terminal_is_told_what_it_does(tmp_path: Path) -> None:
    terminal, child_side = pty.openpty()
    try:
        with subprocess.Popen(
            [*command(), "serve", "--transport", "stdio"],
            cwd=tmp_path,
            env=environment({"HOME": str(tmp_path)}),
            stdin=child_side,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                assert process.stderr is not None
                assert process.stdout is not None
                first = process.stderr.readline().decode()
                os.write(terminal, b"\x04")
                rest, output = process.stderr.read(), process.stdout.read()
                process.wait(PATIENCE)
            finally:
                process.kill()
    finally:
        os.close(terminal)
        os.close(child_side)
    assert "waits for JSON-RPC messages" in first
    assert "serve --transport http" in rest.decode()
    assert (process.returncode, output) == (0, b"")
