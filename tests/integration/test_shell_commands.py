"""Shell commands over real processes, on both event loops: bounds, environment, and that nothing is left behind.

Not covered yet: what a command does to keep out of reach of its process group. A daemon that calls `setsid` lives on
(the call itself still ends in time), and a command can read what the server's user can read outside the roots, the
server's own environment in /proc included.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from app.application.ports import CommandOutcome
from app.domain.errors import FileMissing, OperationFailed
from app.infrastructure.commands import ShellCommands
from app.infrastructure.files import RootedFiles

KEPT = 1000  # bytes of each stream
LONGEST = 20.0
PATIENCE = 10.0
END = 1.0  # seconds from the limit or the cancellation to the end of the whole group
SLACK = 1.0  # seconds that a loaded machine may add

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "file.txt").write_text("text")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = RootedFiles([root], max_read_bytes=1, max_write_bytes=1, max_entries=1)
    yield store
    store.close()


@pytest.fixture
def commands(files: RootedFiles) -> ShellCommands:
    return ShellCommands(
        files.open_directory, timeout_seconds=PATIENCE, max_timeout_seconds=LONGEST, max_output_bytes=KEPT
    )


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be collected by its parent does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


async def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        await anyio.sleep(0.005)


def numbers_in(text: str) -> list[int]:
    return [int(word) for word in text.split()]


class TestOutcome:
    async def test_both_streams_and_the_exit_code_are_given_apart(self, commands: ShellCommands) -> None:
        outcome = await commands.run("echo out; echo err >&2; exit 3", None, None)
        assert (outcome.exit_code, outcome.signal) == (3, None)
        assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
        assert (outcome.truncated, outcome.timed_out) == (False, False)
        assert 0 < outcome.duration_seconds < PATIENCE

    async def test_a_signal_that_ends_the_shell_is_named(self, commands: ShellCommands) -> None:
        outcome = await commands.run("kill -9 $$", None, None)
        assert (outcome.exit_code, outcome.signal) == (None, "SIGKILL")
        outcome = await commands.run("kill -40 $$", None, None)
        assert (outcome.exit_code, outcome.signal) == (None, "signal 40")

    async def test_standard_input_is_empty(self, commands: ShellCommands) -> None:
        outcome = await commands.run("cat; readlink /proc/self/fd/0", None, None)
        assert outcome.stdout == "/dev/null\n"

    async def test_bytes_that_are_no_text_are_replaced(self, commands: ShellCommands) -> None:
        outcome = await commands.run(r"printf 'a\377b\303\251'", None, None)
        assert outcome.stdout == "a\ufffdbé"

    async def test_many_commands_run_at_the_same_time(self, commands: ShellCommands) -> None:
        outcomes: list[CommandOutcome] = []

        async def run(number: int) -> None:
            outcomes.append(await commands.run(f"echo {number}", None, None))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(run, number)
        assert sorted(int(outcome.stdout) for outcome in outcomes) == list(range(20))


class TestOutput:
    async def test_the_beginning_of_each_stream_is_kept_and_the_rest_read_away(self, commands: ShellCommands) -> None:
        command = "head -c 50000000 /dev/zero | tr '\\0' x; head -c 50000000 /dev/zero | tr '\\0' y >&2; exit 4"
        outcome = await commands.run(command, None, LONGEST)
        assert (outcome.stdout, outcome.stderr) == ("x" * KEPT, "y" * KEPT)
        assert outcome.truncated
        assert outcome.exit_code == 4

    async def test_output_that_just_fits_is_whole(self, commands: ShellCommands) -> None:
        outcome = await commands.run(f"head -c {KEPT} /dev/zero", None, None)
        assert len(outcome.stdout) == KEPT
        assert not outcome.truncated

    async def test_a_character_that_the_limit_cuts_in_two_is_left_out(self, commands: ShellCommands) -> None:
        outcome = await commands.run(f"printf x; for i in $(seq {KEPT}); do printf é; done", None, None)
        assert outcome.stdout == "x" + "é" * (KEPT // 2 - 1)
        assert outcome.truncated


class TestDirectory:
    async def test_a_command_runs_in_the_first_root_or_beneath_it(self, commands: ShellCommands, root: Path) -> None:
        for given, expected in ((None, root), ("inner", root / "inner"), (str(root / "inner"), root / "inner")):
            assert (await commands.run("pwd -P", given, None)).stdout == f"{expected}\n"

    @pytest.mark.parametrize(
        ("directory", "words"),
        [("..", "outside"), ("/", "outside"), ("out", "outside"), ("file.txt", "not a directory"), ("", "empty")],
    )
    async def test_a_directory_outside_the_roots_is_refused(
        self, commands: ShellCommands, root: Path, directory: str, words: str
    ) -> None:
        (root / "out").symlink_to("..")
        with pytest.raises(OperationFailed, match=words):
            await commands.run("echo here", directory, None)

    async def test_a_missing_directory_is_named_as_the_caller_named_it(self, commands: ShellCommands) -> None:
        with pytest.raises(FileMissing, match=r"^none: no such file or directory$"):
            await commands.run("echo here", "none", None)

    async def test_a_name_given_to_another_directory_meanwhile_leads_nowhere_else(
        self, files: RootedFiles, root: Path
    ) -> None:
        def open_and_replace(path: str) -> int:
            descriptor = files.open_directory(path)
            (root / "inner").rename(root / "moved")
            (root / "inner").symlink_to("/")
            return descriptor

        commands = ShellCommands(open_and_replace, timeout_seconds=1, max_timeout_seconds=1, max_output_bytes=KEPT)
        assert (await commands.run("pwd -P", "inner", None)).stdout == f"{root}/moved\n"


class TestEnvironment:
    async def test_only_harmless_variables_are_passed_on(
        self, files: RootedFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LC_TIME", "C")
        for name in (
            "ANTHROPIC_API_KEY",
            "GITHUB_TOKEN",
            "TELEMETRYFLOW_MCP_MCP_STATE_KEY",
            "LD_PRELOAD_X",
            "PYTHONPATH",
        ):
            monkeypatch.setenv(name, "must not be seen")
        commands = ShellCommands(files.open_directory, timeout_seconds=1, max_timeout_seconds=1, max_output_bytes=KEPT)
        outcome = await commands.run("env", None, None)
        names = {line.partition("=")[0] for line in outcome.stdout.splitlines()}
        assert {"PATH", "LC_TIME"} <= names
        assert names - {"LC_TIME", "LC_ALL", "LC_CTYPE"} <= {
            "PATH",
            "HOME",
            "LANG",
            "TMPDIR",
            "TERM",
            "PWD",
            "SHLVL",
            "_",
        }
        assert "must not be seen" not in outcome.stdout

    async def test_no_descriptor_of_the_server_is_passed_on(self, commands: ShellCommands) -> None:
        outcome = await commands.run("for f in /proc/$$/fd/*; do echo ${f##*/}; done", None, None)
        assert numbers_in(outcome.stdout)[:3] == [0, 1, 2]
        assert len(numbers_in(outcome.stdout)) <= 4  # the shell may hold one of its own


class TestEnd:
    @pytest.mark.parametrize(
        "command",
        [
            "echo $$; exec sleep 60",
            "sleep 60 & echo $$ $!; wait",
            "trap '' TERM; sleep 60 & echo $$ $!; wait; sleep 60",
            "(trap '' TERM; sleep 60 & echo $!; wait) & echo $$ $!; wait",
            "kill -STOP $$ & echo $$; wait",
            "yes >/dev/null & echo $$ $!; while :; do :; done",
        ],
    )
    async def test_at_the_time_limit_the_whole_group_is_ended(self, commands: ShellCommands, command: str) -> None:
        outcome = await commands.run(command, None, 0.3)
        assert outcome.timed_out
        assert (outcome.exit_code, outcome.signal) == (None, None)
        assert 0.3 <= outcome.duration_seconds < 0.3 + END + SLACK
        assert numbers_in(outcome.stdout)
        assert not any(runs(pid) for pid in numbers_in(outcome.stdout))

    async def test_a_command_may_clean_up_before_it_is_killed(self, commands: ShellCommands, root: Path) -> None:
        outcome = await commands.run("trap 'echo done > cleaned; exit 0' TERM; while :; do sleep 0.01; done", None, 0.3)
        assert outcome.timed_out
        assert (root / "cleaned").read_text() == "done\n"

    @pytest.mark.parametrize("redirection", ["", " >/dev/null 2>&1"])
    async def test_what_runs_in_the_background_is_ended_with_the_command(
        self, commands: ShellCommands, redirection: str
    ) -> None:
        outcome = await commands.run(f"sleep 60{redirection} & echo $!", None, None)
        assert (outcome.exit_code, outcome.timed_out) == (0, False)
        assert outcome.duration_seconds < END + SLACK
        assert not runs(int(outcome.stdout))

    async def test_a_daemon_that_left_the_group_cannot_hold_the_answer_back(
        self, commands: ShellCommands, root: Path
    ) -> None:
        daemon = "setsid sh -c 'echo $$ > pid; exec sleep 60'"
        outcome = await commands.run(f"{daemon} & while [ ! -s pid ]; do :; done; echo started", None, None)
        with suppress(ProcessLookupError):
            os.kill(int((root / "pid").read_text()), signal.SIGKILL)
        assert (outcome.exit_code, outcome.stdout) == (0, "started\n")
        assert outcome.duration_seconds < 2 * END + SLACK

    async def test_cancellation_ends_the_whole_group(self, commands: ShellCommands, root: Path) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(
                commands.run, "trap '' TERM; sleep 60 & echo $$ $! > pids; mv pids ready; wait", None, None
            )
            await wait_until((root / "ready").exists, "the command has started")
            cancelled_at = time.monotonic()
            group.cancel_scope.cancel()
        assert time.monotonic() - cancelled_at < END + SLACK
        assert not any(runs(pid) for pid in numbers_in((root / "ready").read_text()))

    @pytest.mark.parametrize("times", [1, 2])
    async def test_a_cancelled_task_ends_the_group_even_when_it_is_cancelled_again(
        self, commands: ShellCommands, root: Path, times: int
    ) -> None:
        command = "trap '' TERM; sleep 60 & echo $$ $! > pids; mv pids ready; wait; sleep 60"
        task = asyncio.ensure_future(commands.run(command, None, None))
        await wait_until((root / "ready").exists, "the command has started")
        for _ in range(times):
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        pids = numbers_in((root / "ready").read_text())
        await wait_until(lambda: not any(runs(pid) for pid in pids), "the group has ended")

    async def test_neither_descriptors_nor_processes_are_left(self, commands: ShellCommands) -> None:
        await commands.run("true", None, None)
        own_children = Path(f"/proc/self/task/{os.getpid()}/children")
        before, children = len(os.listdir("/proc/self/fd")), own_children.read_text()
        for command in ("true", "sleep 60 &", "exec sleep 60", "head -c 100000 /dev/zero"):
            await commands.run(command, None, 0.1)
        assert len(os.listdir("/proc/self/fd")) == before
        assert own_children.read_text() == children


class TestRefusal:
    @pytest.mark.parametrize("seconds", [0, -1, LONGEST + 1, float("nan"), float("inf")])
    async def test_a_time_limit_that_cannot_be_kept_is_refused(self, commands: ShellCommands, seconds: float) -> None:
        with pytest.raises(OperationFailed, match=r"above 0 and at most 20 seconds \(commands\.max_timeout_seconds\)"):
            await commands.run("echo here", None, seconds)

    @pytest.mark.parametrize(
        ("command", "words"),
        [("echo a\0b", "NUL"), ("echo \ud800", "valid text"), (f"echo {'x' * 200_000}", "too long")],
    )
    async def test_a_command_that_cannot_be_run_is_refused(
        self, commands: ShellCommands, command: str, words: str
    ) -> None:
        with pytest.raises(OperationFailed, match=words):
            await commands.run(command, None, None)
