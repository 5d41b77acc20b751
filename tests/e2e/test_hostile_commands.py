"""Hostile commands against the installed server, as root and as an unprivileged user.

Whatever they do: the server answers pings meanwhile, leaves nothing of them behind and does not grow. The load
campaigns measure how soon it answers.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.identities import Identity, identities
from tests.support.machine import TIERS, growing_by_less_than, is_running
from tests.support.processes import stdio_child
from tests.support.stdio_client import StdioClient

SECRET = "a-secret-of-the-server"
MEMORY = 50 * 1024 * 1024
PROCESSES = 64
SAVED = 64 * 1024 * 1024
PROGRAM = Path(__file__).with_name("hostile_program.py")

BOMBS = {
    "shell": "b() { b & b & }; b & while :; do :; done",
    "setsid": "b() { setsid sleep 9 & b & b & }; b & while :; do :; done",
    "python": """python3 -c '
import os
while True:
    try:
        os.fork() or os.setsid()
    except OSError:
        pass
'""",
    "threads": """python3 -c '
import threading, time
while True:
    try:
        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
    except RuntimeError:
        pass
'""",
}

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir('/')
        time.sleep(60)
    os._exit(0)
"""


@dataclass
class Sandbox:
    """A server with confined commands, its root, and a directory outside of it."""

    client: StdioClient
    root: Path
    outside: Path
    last_content: Sequence[Mapping[str, Any]] = ()

    def run(self, command: str, timeout: float = 10.0) -> dict[str, Any]:
        """Run a command to its end while pinging the server, and return its outcome."""
        arguments = {"command": command, "timeout": timeout}
        identifier = self.client.start("tools/call", {"name": "execute_command", "arguments": arguments})
        while True:
            self.client.call("ping", seconds=PATIENCE)
            try:
                reply = self.client.reply(identifier, 0.05)
            except TimeoutError:
                continue
            self.last_content = reply["result"]["content"]
            outcome: dict[str, Any] = reply["result"]["structuredContent"]
            return outcome


@contextmanager
def sandboxed(identity: Identity, tier: str, **variables: str) -> Iterator[Sandbox]:
    """Run a server as the given identity, in directories that this user owns."""
    with tempfile.TemporaryDirectory(prefix="tfo-hostile-") as temporary:
        place = Path(temporary)
        root, outside = place / "root", place / "outside"
        for directory in (place, root, outside):
            directory.mkdir(exist_ok=True)
            if identity.user is not None:
                os.chown(directory, identity.user, identity.user)
        victim = outside / "victim"
        victim.write_text("untouched")
        shutil.copy(PROGRAM, root / "program.py")
        if identity.user is not None:
            os.chown(victim, identity.user, identity.user)
        configuration = {
            "files": {"roots": [str(root)]},
            "commands": {
                "sandbox": tier,
                "max_processes": PROCESSES,
                "max_saved_bytes": SAVED,
                "max_file_bytes": 64 << 20,
            },
        }
        (place / "tfo-mcp.yaml").write_text(json.dumps(configuration))
        with stdio_child(
            place / "tfo-mcp.yaml",
            directory=place,
            variables={"SECRET_OF_THE_SERVER": SECRET, **variables},
            become=identity.line,
        ) as child:
            client = StdioClient(child)
            client.handshake()
            yield Sandbox(client, root, outside)


@contextmanager
def message_queue() -> Iterator[int]:
    """Create a System V message queue that every user may access; yield its id."""
    libc = ctypes.CDLL(None)
    queue = libc.msgget(0, 0o1666)  # IPC_PRIVATE, IPC_CREAT
    assert queue >= 0
    try:
        yield queue
    finally:
        libc.msgctl(queue, 0, None)  # IPC_RMID


@pytest.fixture(scope="module", params=[tier for tier in TIERS if tier != "none"])
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=identities(), ids=lambda identity: identity.name)
def sandbox(request: pytest.FixtureRequest, tier: str) -> Iterator[Sandbox]:
    with sandboxed(request.param, tier) as running:
        yield running
        running.client.close_input()
        assert running.client.child.wait() == 0


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_of_processes_is_bounded_and_swept_away(sandbox: Sandbox, bomb: str) -> None:
    with growing_by_less_than(MEMORY, sandbox.client.child.pid):
        outcome = sandbox.run(BOMBS[bomb], timeout=1.5)
    assert outcome["timed_out"] or outcome["too_many_processes"]
    assert outcome["duration_seconds"] < 1.5 + PATIENCE
    assert not is_running(sandbox.root)
    assert sandbox.run("echo fine")["stdout"] == "fine\n"


def test_daemons_end_with_the_command(sandbox: Sandbox) -> None:
    outcome = sandbox.run(f'python3 -c "{DAEMON}" $PWD; setsid nohup sleep 60 & sleep 0.2; echo started')
    assert (outcome["exit_code"], outcome["stdout"]) == (0, "started\n")
    assert outcome["duration_seconds"] < 0.2 + PATIENCE
    assert not is_running(sandbox.root)


def test_two_gigabytes_on_both_streams_cost_neither_memory_nor_the_others_time(sandbox: Sandbox) -> None:
    with growing_by_less_than(MEMORY, sandbox.client.child.pid):
        outcome = sandbox.run("head -c 2000000000 /dev/zero & head -c 2000000000 /dev/zero >&2; wait", timeout=60)
    assert (outcome["stdout_bytes"], outcome["stderr_bytes"]) == (2_000_000_000, 2_000_000_000)
    saved = [content["size"] for content in sandbox.last_content if content["type"] == "resource_link"]
    assert (len(saved), sum(saved)) == (2, SAVED)
    assert not is_running(sandbox.root)


def test_nothing_outside_is_reached_in_any_way(sandbox: Sandbox) -> None:
    victim = sandbox.outside / "victim"
    before = victim.stat()
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix, message_queue() as queue:
        unix.bind(str(sandbox.root / "s"))
        unix.listen()
        (sandbox.root / "s").chmod(0o777)
        arguments = f"{sandbox.client.child.pid} {sandbox.outside} {tcp.getsockname()[1]} {sandbox.root / 's'} {queue}"
        outcome = sandbox.run(f"python3 program.py {arguments}; kill -0 {sandbox.client.child.pid}")
    assert json.loads(outcome["stdout"]) == [], outcome
    assert outcome["exit_code"] != 0
    assert victim.read_text() == "untouched"
    after = victim.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)
    assert sorted(os.listdir(sandbox.outside)) == ["victim"]


def test_the_attempts_succeed_without_a_sandbox() -> None:
    """This control proves that the test above is meaningful."""
    own = os.getpid()
    with (
        sandboxed(identities()[0], "none") as sandbox,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        message_queue() as queue,
    ):
        arguments = f"{own} {sandbox.outside} {tcp.getsockname()[1]} none {queue}"
        succeeded = json.loads(sandbox.run(f"python3 program.py {arguments}")["stdout"])
    assert {"write", "create", "link", "chmod", "utime", "tcp", "udp", f"signal to {own}"} <= set(succeeded)
    assert {"message", "state of a queue", "signals of a socket", f"signal by the entry of {own}"} <= set(succeeded)


def test_the_servers_environment_and_files_are_not_read(sandbox: Sandbox) -> None:
    outcome = sandbox.run("cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; env; cat /proc/*/maps")
    assert outcome["stdout_bytes"] > 0
    assert SECRET not in json.dumps([outcome, sandbox.last_content])
    outcome = sandbox.run("cat /etc/shadow ~root/.ssh/* ../outside/victim /proc/1/root/etc/shadow; ls ../outside")
    assert outcome["stdout"] == ""


@pytest.mark.parametrize(
    ("command", "exit_code", "words"),
    [
        ("python3 -c 'x = bytearray(3 << 30)'", 1, "MemoryError"),
        ("head -c 2000000000 /dev/zero > big", 153, ""),
        ("python3 -c 'import os; os.write(1, b\"x\" * 10); os.kill(os.getpid(), 11)'", 139, ""),
    ],
)
def test_a_program_that_wants_too_much_of_something_fails_alone(
    sandbox: Sandbox, command: str, exit_code: int, words: str
) -> None:
    outcome = sandbox.run(f"{command}; exit $?", timeout=20)
    assert outcome["exit_code"] == exit_code
    assert words in outcome["stderr"]


def test_what_runs_when_the_server_is_killed_ends_with_it(tier: str) -> None:
    with sandboxed(identities()[0], tier) as sandbox:
        arguments = {"command": "setsid sleep 60 & touch started; sleep 60", "timeout": 60}
        sandbox.client.start("tools/call", {"name": "execute_command", "arguments": arguments})
        wait_until((sandbox.root / "started").exists, "the command runs")
        sandbox.client.child.process.kill()
        wait_until(lambda: not is_running(sandbox.root), "everything has ended", PATIENCE)
        assert sandbox.client.child.wait() == -signal.SIGKILL


def test_the_directories_of_commands_are_gone_after_a_kill_and_a_restart(tier: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        with sandboxed(identities()[0], tier, TMPDIR=temporary) as running:
            with sandboxed(identities()[0], tier, TMPDIR=temporary) as killed:
                for sandbox in (running, killed):
                    text = "mkdir -p $TMPDIR/a; echo x > $TMPDIR/a/f; chmod 0 $TMPDIR; touch started; sleep 60"
                    arguments = {"command": text, "timeout": 60}
                    sandbox.client.start("tools/call", {"name": "execute_command", "arguments": arguments})
                    wait_until((sandbox.root / "started").exists, "the command runs")
                assert len(command_directories(temporary)) == 2
                killed.client.child.process.kill()
                assert killed.client.child.wait() == -signal.SIGKILL
                wait_until(lambda: not is_running(killed.root), "everything has ended", PATIENCE)
            with sandboxed(identities()[0], tier, TMPDIR=temporary) as restarted:
                restarted.client.call("ping")
                wait_until(lambda: len(command_directories(temporary)) == 1, "what was left is removed")
                assert restarted.run("echo fine")["stdout"] == "fine\n"
            assert len(command_directories(temporary)) == 1  # that of the running server
        assert command_directories(temporary) == []


def command_directories(temporary: str) -> list[str]:
    return [name for name in os.listdir(temporary) if name.startswith("tfo-mcp-command-")]
