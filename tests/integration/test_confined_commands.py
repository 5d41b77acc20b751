"""Commands as real processes, in every available sandbox tier: outcome, output, environment and end."""

import asyncio
import json
import os
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.deadlines import eventually
from tests.support.files import PROGRAM, confined, rooted
from tests.support.machine import TIERS, is_running
from tfo_mcp.application.ports import CommandOutcome, Contents, Filter, Program
from tfo_mcp.domain.errors import FileMissing, OperationFailed
from tfo_mcp.infrastructure.commands import ConfinedCommands, Permission
from tfo_mcp.infrastructure.files import RootedFiles
from tfo_mcp.infrastructure.linux.syscalls import numbers
from tfo_mcp.infrastructure.sandbox.tiers import Findings, Wanted

KEPT = 1000  # bytes of each stream
LONGEST = 20.0
PATIENCE = 10.0
END = 1.0  # seconds from the timeout or cancellation until all processes have ended
SLACK = 1.0  # extra seconds for a loaded machine

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "file.txt").write_text("text")
    return root


@pytest.fixture
def files(root: Path) -> Iterator[RootedFiles]:
    store = rooted(root)
    yield store
    store.close()


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> Wanted:
    wanted: Wanted = request.param
    return wanted


@pytest.fixture
def commands(files: RootedFiles, tier: Wanted) -> Iterator[ConfinedCommands]:
    runner = confined(files, sandbox=tier)
    yield runner
    runner.close()


def supervisors() -> set[int]:
    """Return the process ids of this process's children."""
    return {int(pid) for task in os.listdir("/proc/self/task") for pid in children_of(task)}


def children_of(task: str) -> list[str]:
    with suppress(FileNotFoundError):
        return Path(f"/proc/self/task/{task}/children").read_text().split()
    return []


async def shell(
    commands: ConfinedCommands, text: str, directory: str | None = None, timeout: float | None = None
) -> CommandOutcome:
    return await commands.run(Program(shell=text, working_dir=directory, timeout_seconds=timeout), "owner")


class TestOutcome:
    async def test_both_streams_and_the_exit_code_are_given_apart(
        self, commands: ConfinedCommands, tier: Wanted
    ) -> None:
        outcome = await shell(commands, "echo out; echo err >&2; exit 3")
        assert (outcome.exit_code, outcome.signal) == (3, None)
        assert (outcome.stdout.text, outcome.stderr.text) == ("out\n", "err\n")
        assert (outcome.stdout.cut, outcome.timed_out, outcome.sandbox) == (False, False, tier)
        assert 0 < outcome.duration_seconds < PATIENCE

    async def test_a_program_is_run_without_a_shell(self, commands: ConfinedCommands) -> None:
        outcome = await commands.run(Program(("printf", "%s|", "a b", "$HOME", "*")), "owner")
        assert outcome.stdout.text == "a b|$HOME|*|"

    async def test_a_signal_that_ends_the_command_is_named(self, commands: ConfinedCommands) -> None:
        outcome = await shell(commands, "kill -9 $$")
        assert (outcome.exit_code, outcome.signal) == (None, "SIGKILL")
        outcome = await shell(commands, "kill -40 $$")
        assert (outcome.exit_code, outcome.signal) == (None, "signal 40")
        outcome = await shell(commands, "exit 137")
        assert (outcome.exit_code, outcome.signal) == (137, None)

    async def test_standard_input_is_empty_and_there_is_no_terminal(self, commands: ConfinedCommands) -> None:
        outcome = await shell(commands, "cat; readlink /proc/self/fd/0; (: < /dev/tty) 2>/dev/null || echo none")
        assert outcome.stdout.text == "/dev/null\nnone\n"

    async def test_bytes_that_are_no_text_are_replaced(self, commands: ConfinedCommands) -> None:
        outcome = await shell(commands, r"printf 'a\377b\303\251'")
        assert outcome.stdout.text == "a\ufffdbé"

    async def test_many_commands_run_at_the_same_time(self, commands: ConfinedCommands) -> None:
        outcomes: list[CommandOutcome] = []

        async def run(number: int) -> None:
            outcomes.append(await shell(commands, f"echo {number}"))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(run, number)
        assert sorted(int(outcome.stdout.text) for outcome in outcomes) == list(range(8))

    async def test_usual_programs_work(self, commands: ConfinedCommands, root: Path) -> None:
        text = """
            set -e
            mkdir a; echo x > a/f; chmod 751 a/f; touch -d @5 a/f; cp -p a/f a/g; mv a b; ln -s f b/l
            tar cf t b; rm -r b; tar xpf t; stat -c '%a %Y' b/f b/g
            echo y | sort > $TMPDIR/s; cat < $TMPDIR/s; sleep 0 & wait
            cat ~/none 2>/dev/null || echo home
            python3 -c 'import subprocess; subprocess.run(["true"], check=True)'
            find . -name f | xargs grep -c x
        """
        outcome = await shell(commands, text)
        assert outcome.stderr.text == ""
        assert outcome.stdout.text == "751 5\n751 5\ny\nhome\n1\n"

    async def test_many_short_processes_begin_and_end_without_trouble(self, commands: ConfinedCommands) -> None:
        text = "for i in $(seq 200); do echo $i | cat | cat; (exit 0) & done; wait"
        outcome = await shell(commands, text)
        assert (outcome.exit_code, outcome.stderr.text) == (0, "")
        assert len(outcome.stdout.text.split()) == 200


class TestOutput:
    async def test_of_a_long_output_the_beginning_and_the_end_are_shown_and_the_whole_is_saved(
        self, files: RootedFiles
    ) -> None:
        commands = confined(files, output_bytes=KEPT, saved_bytes=10 << 20)
        outcome = await shell(commands, "seq 1000000; seq 5 >&2; exit 4")
        text = outcome.stdout.text
        assert text.startswith("1\n2\n3\n")
        assert text.endswith("999999\n1000000\n")
        assert f"[… {outcome.stdout.size - KEPT} bytes left out …]" in text
        assert (outcome.stdout.cut, outcome.stderr.cut, outcome.exit_code) == (True, False, 4)
        whole = "".join(f"{number}\n" for number in range(1, 1_000_001)).encode()
        name = outcome.stdout.saved
        assert name is not None
        assert outcome.stdout.size == len(whole)
        pieces = [await commands.saved_output(name, "owner", at, at + 1_000_000) for at in range(0, len(whole), 10**6)]
        assert b"".join(pieces) == whole
        with pytest.raises(OperationFailed, match=r"append a range of bytes to the URI"):
            await commands.saved_output(name, "owner", 0, None)
        for stranger, asked in (("another", name), ("owner", "none")):
            with pytest.raises(FileMissing, match="no such output"):
                await commands.saved_output(asked, stranger, 0, 10)
        commands.close()

    async def test_more_than_may_be_saved_is_not_saved_and_the_oldest_goes_first(self, files: RootedFiles) -> None:
        commands = confined(files, output_bytes=KEPT, saved_bytes=100_000)
        first = (await shell(commands, "head -c 60000 /dev/zero | tr '\\0' a")).stdout.saved
        second = (await shell(commands, "head -c 300000 /dev/zero | tr '\\0' b")).stdout.saved
        assert first is not None
        assert second is not None
        with pytest.raises(FileMissing):
            await commands.saved_output(first, "owner", 0, 10)
        assert await commands.saved_output(second, "owner", 0, None) == b"b" * 100_000
        commands.close()
        with pytest.raises(FileMissing):
            await commands.saved_output(second, "owner", 0, 10)

    async def test_what_is_still_written_is_never_thrown_away_for_another(self, files: RootedFiles) -> None:
        commands = confined(files, output_bytes=KEPT, saved_bytes=100_000)
        text = """
            head -c 60000 /dev/zero | tr '\\0' o
            head -c 60000 /dev/zero | tr '\\0' e >&2
            head -c 60000 /dev/zero | tr '\\0' O
        """
        outcome = await shell(commands, text)
        sizes = outcome.stdout.saved_size, outcome.stderr.saved_size
        assert (outcome.stdout.size, outcome.stderr.size, sum(sizes)) == (120_000, 60_000, 100_000)
        for output, size, whole in zip(
            (outcome.stdout, outcome.stderr), sizes, (b"o" * 60_000 + b"O" * 60_000, b"e" * 60_000), strict=True
        ):
            assert (output.saved is None) == (size == 0)  # the other one may have taken all the room
            if output.saved is not None:
                assert await commands.saved_output(output.saved, "owner", 0, None) == whole[:size]
        commands.close()

    async def test_descriptors_of_any_number_are_read(self, files: RootedFiles) -> None:
        commands = confined(files, output_bytes=KEPT)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
        many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        try:
            assert (await shell(commands, "echo out")).stdout.text == "out\n"
            (Path(files.roots[0].path) / "found.txt").write_text("needle")
            assert len((await files.search(".", Contents("needle"), Filter())).matches) == 1
        finally:
            for descriptor in many:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            commands.close()

    async def test_output_that_just_fits_is_whole(self, files: RootedFiles) -> None:
        commands = confined(files, output_bytes=KEPT)
        outcome = await shell(commands, f"head -c {KEPT} /dev/zero")
        assert (len(outcome.stdout.text), outcome.stdout.cut, outcome.stdout.saved) == (KEPT, False, None)
        outcome = await shell(commands, f"head -c {KEPT + 1} /dev/zero")
        assert (outcome.stdout.cut, outcome.stdout.size) == (True, KEPT + 1)
        commands.close()

    async def test_characters_that_the_cut_goes_through_are_left_out(self, files: RootedFiles) -> None:
        commands = confined(files, output_bytes=KEPT)
        text = (await shell(commands, f"printf x; for i in $(seq {KEPT}); do printf é; done; printf x")).stdout.text
        assert "\ufffd" not in text
        assert text.startswith("xéé")
        assert text.endswith("ééx")
        commands.close()

    async def test_new_output_is_told_while_the_command_runs(self, files: RootedFiles, root: Path) -> None:
        commands = confined(files)
        told: list[tuple[int, str]] = []

        async def on_output(size: int, news: str) -> None:
            told.append((size, news))
            (root / f"told-{len(told)}").touch()

        waiting = "while [ ! -e told-1 ]; do sleep 0.01; done; echo two; while [ ! -e told-2 ]; do sleep 0.01; done"
        outcome = await commands.run(Program(shell=f"echo one; {waiting}; echo end"), "owner", on_output)
        assert told[:2] == [(4, "one\n"), (8, "two\n")]
        assert outcome.stdout.text == "one\ntwo\nend\n"
        commands.close()


class TestDirectory:
    async def test_a_command_runs_in_the_first_root_or_beneath_it(self, commands: ConfinedCommands, root: Path) -> None:
        for given, expected in ((None, root), ("inner", root / "inner"), (str(root / "inner"), root / "inner")):
            assert (await shell(commands, "pwd -P", given)).stdout.text == f"{expected}\n"

    @pytest.mark.parametrize(
        ("directory", "words"),
        [("..", "outside"), ("/", "outside"), ("out", "outside"), ("file.txt", "not a directory"), ("", "empty")],
    )
    async def test_a_directory_outside_the_roots_is_refused(
        self, files: RootedFiles, root: Path, directory: str, words: str
    ) -> None:
        (root / "out").symlink_to("..")
        with pytest.raises(OperationFailed, match=words):
            await shell(confined(files), "echo here", directory)

    async def test_a_missing_directory_is_named_as_the_caller_named_it(self, files: RootedFiles) -> None:
        with pytest.raises(FileMissing, match=r"^none: no such file or directory$"):
            await shell(confined(files), "echo here", "none")

    async def test_a_name_given_to_another_directory_meanwhile_leads_nowhere_else(
        self, files: RootedFiles, root: Path, tier: Wanted
    ) -> None:
        def open_and_replace(path: str) -> int:
            descriptor = files.open_directory(path)
            (root / "inner").rename(root / "moved")
            (root / "inner").symlink_to("/")
            return descriptor

        commands = confined(files, sandbox=tier, open_directory=open_and_replace)
        assert (await shell(commands, "pwd -P", "inner")).stdout.text == f"{root}/moved\n"


class TestEnvironment:
    async def test_only_harmless_variables_are_passed_on_and_those_that_are_named(
        self, files: RootedFiles, tier: Wanted
    ) -> None:
        hidden = ("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "TELEMETRYFLOW_MCP_MCP_STATE_KEY", "LD_PRELOAD_X", "PYTHONPATH")
        environment = dict.fromkeys(hidden, "must not be seen")
        environment |= {"PATH": os.defpath, "LC_TIME": "C", "LANG": "C.UTF-8", "TZ": "UTC", "MINE": "yes", "HOME": "/x"}
        commands = confined(files, sandbox=tier, passed_on=["MINE"], environment=environment)
        seen = dict(line.split("=", 1) for line in (await shell(commands, "env")).stdout.text.splitlines())
        assert set(seen) - {"PWD", "SHLVL", "_", "LC_CTYPE"} == {
            "PATH", "LC_TIME", "LANG", "TZ", "MINE", "HOME", "TMPDIR"
        }  # fmt: skip
        assert seen["MINE"] == "yes"
        assert seen["HOME"] == seen["TMPDIR"] != "/x"

    async def test_the_temporary_directory_is_its_own_and_goes_with_the_command(
        self, commands: ConfinedCommands
    ) -> None:
        first = await shell(commands, "echo x > $TMPDIR/f; stat -c %a $TMPDIR; echo $TMPDIR")
        mode, directory = first.stdout.text.split()
        assert mode == "700"
        assert not Path(directory).exists()
        assert (await shell(commands, "ls -A $TMPDIR; echo $TMPDIR")).stdout.text.split() != [directory]

    @pytest.mark.parametrize(
        "text",
        [
            """python3 -c 'import os; [(os.mkdir("d"), os.chdir("d")) for _ in range(1500)]'""",
            "mkdir -p a/b/c a/b/d; touch a/b/c/f a/f; ln -s / a/b/l; chmod -R 555 .; chmod 0 a/b/d a",
        ],
    )
    async def test_it_goes_whatever_is_made_of_it(
        self, commands: ConfinedCommands, files: RootedFiles, text: str
    ) -> None:
        outcome = await shell(commands, f"cd $TMPDIR; pwd; {text}")
        assert (outcome.exit_code, outcome.stderr.text) == (0, "")
        assert not Path(outcome.stdout.text.strip()).exists()

    async def test_where_there_is_no_room_for_it_the_command_is_refused(
        self, files: RootedFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/none/of/these")
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OperationFailed, match=r"^The sandbox cannot be started: No such file or directory$"):
            await shell(confined(files), "echo here")
        assert len(os.listdir("/proc/self/fd")) == before

    async def test_no_descriptor_of_the_server_is_passed_on(self, commands: ConfinedCommands) -> None:
        outcome = await shell(commands, "for f in /proc/$$/fd/*; do echo ${f##*/}; done")
        numbers = [int(word) for word in outcome.stdout.text.split()]
        assert numbers[:3] == [0, 1, 2]
        assert len(numbers) <= 4  # the shell may open one of its own


class TestRights:
    """Settings that allow more or less than the defaults."""

    @pytest.fixture(params=[tier for tier in TIERS if tier != "none"])
    def tier(self, request: pytest.FixtureRequest) -> Wanted:
        wanted: Wanted = request.param
        return wanted

    @pytest.mark.parametrize("network", [False, True])
    async def test_the_network_is_reached_only_if_that_is_set(
        self, files: RootedFiles, tier: Wanted, network: bool
    ) -> None:
        commands = confined(files, sandbox=tier, network=network)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            text = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
            outcome = await commands.run(Program(("python3", "-c", text)), "owner")
        assert (outcome.exit_code == 0) is network, outcome.stderr.text
        unix = await commands.run(Program(("python3", "-c", "import socket; socket.socket(socket.AF_UNIX)")), "owner")
        assert "PermissionError" in unix.stderr.text

    async def test_directories_that_are_named_are_read_and_not_written(
        self, files: RootedFiles, tier: Wanted, tmp_path: Path
    ) -> None:
        for name in ("named", "other"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(f"{name}\n")
        commands = confined(files, sandbox=tier, readable=[tmp_path / "named"])
        outcome = await shell(
            commands, "cd ..; cat named/file; cat other/file; echo x > named/file; echo x > named/new"
        )
        assert outcome.stdout.text == "named\n"
        assert (tmp_path / "named" / "file").read_text() == "named\n"
        assert os.listdir(tmp_path / "named") == ["file"]

    async def test_a_program_that_computes_for_too_long_is_ended_by_the_kernel(
        self, files: RootedFiles, tier: Wanted
    ) -> None:
        commands = confined(files, sandbox=tier, program=replace(PROGRAM, cpu_seconds=1))
        outcome = await commands.run(Program(("sh", "-c", "while :; do :; done")), "owner")
        assert (outcome.exit_code, outcome.timed_out) == (None, False)
        assert outcome.signal in ("SIGXCPU", "SIGKILL")

    async def test_a_call_with_arguments_of_any_kind_leaves_the_supervisor_in_charge(
        self, files: RootedFiles, tier: Wanted, root: Path
    ) -> None:
        (root / "calls.py").write_text(METADATA_CALLS)
        names = [name for name in ("utimes", "futimesat", "utime", "utimensat", "chmod") if name in numbers()]
        calls = json.dumps({name: numbers()[name] for name in names})
        commands = confined(files, sandbox=tier)
        outcome = await shell(
            commands, f"setsid sleep 60 & python3 calls.py '{calls}' && echo x > file.txt && echo end"
        )
        assert (outcome.stderr.text, outcome.exit_code) == ("", 0)
        *lines, last = outcome.stdout.text.splitlines()
        assert (len(lines), last) == (len(names), "end")
        assert all(set(line.split()) <= {"EINVAL", "EFAULT", "ENOENT"} for line in lines), lines
        assert not is_running(root)

    async def test_no_file_gets_a_set_id_bit_in_any_way(self, files: RootedFiles, tier: Wanted, root: Path) -> None:
        (root / "calls.py").write_text(SET_ID_CALLS)
        there = root / "there"
        there.write_text("#!/bin/sh\n")
        there.chmod(0o6755)
        (root / "shared").mkdir()
        (root / "shared").chmod(0o2755)
        names = ("open", "openat", "creat", "mknod", "mknodat", "mkdir", "mkdirat", "openat2", "chmod", "fchmodat2")
        calls = json.dumps({name: numbers()[name] for name in names if name in numbers()})
        outcome = await shell(
            confined(files, sandbox=tier),
            f"python3 calls.py '{calls}'; umask 0; cp -p there copied; tar cpf t there && mkdir un && tar xpf t -C un;"
            "install -m 6755 there installed; touch by-mode && chmod 6755 by-mode; chmod u+s,g+s by-mode; "
            "mkdir -m 6777 made; mkdir -m 1777 free; chmod 755 shared; mkdir shared/inner; cp there again; "
            "echo x >> there; stat -c %a by-mode shared",
        )
        assert outcome.stdout.text == "755\n2755\n", outcome  # subdirectories inherit the set-group-id bit
        set_ids = {path.relative_to(root) for path in root.rglob("*") if path.lstat().st_mode & 0o6000}
        assert set_ids == {Path("shared"), Path("shared/inner")}
        assert {"copied", "installed", "by-mode", "free", "again"} <= set(os.listdir(root))
        assert (root / "un" / "there").exists()


SET_ID_CALLS = """
import ctypes, json, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
O_CREAT, O_WRONLY, S_IFREG, HERE = 0o100, 1, 0o100000, -100
how = struct.pack("<3Q", O_CREAT | O_WRONLY, 0o6755, 0)
arguments = {
    "open": lambda path: (path, O_CREAT | O_WRONLY, 0o6755),
    "openat": lambda path: (HERE, path, O_CREAT | O_WRONLY, 0o4755),
    "creat": lambda path: (path, 0o2755),
    "mknod": lambda path: (path, S_IFREG | 0o6755, 0),
    "mknodat": lambda path: (HERE, path, S_IFREG | 0o6755, 0),
    "mkdir": lambda path: (path, 0o6755),
    "mkdirat": lambda path: (HERE, path, 0o6755),
    "openat2": lambda path: (HERE, path, how, len(how)),
    "chmod": lambda path: (path, 0o6755),
    "fchmodat2": lambda path: (HERE, path, 0o6755, 0),
}
for name, number in json.loads(sys.argv[1]).items():
    path = b"by-" + name.encode()
    if "chmod" in name:
        open(path, "w").close()
    libc.syscall(number, *arguments[name](path))
descriptor = os.open("by-fchmod", O_CREAT | O_WRONLY)
os.fchmod(descriptor, 0o6755)
temporary = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o755)
os.fchmod(temporary, 0o6755)
os.link(f"/proc/self/fd/{temporary}", "by-tmpfile", follow_symlinks=True)
"""


METADATA_CALLS = """
import ctypes, errno, json, mmap, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
libc.munmap(ctypes.c_void_p(start + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE))
end = ctypes.c_void_p(start + mmap.PAGESIZE - 8)
wild = [ctypes.c_char_p(struct.pack("<4q", *four)) for four in ((0, 1 << 62, 0, 0), (0, -1, 0, -1), (0, 0, 0, 10**9))]
for name, number in json.loads(sys.argv[1]).items():
    directory = [ctypes.c_int(-100)] if name in ("futimesat", "utimensat") else []
    told = []
    for path in (b"none", b"file.txt"):
        for times in [end] if name == "utime" else [end, *wild]:
            result = libc.syscall(number, *directory, path if name != "chmod" else end, times, 0)
            told += [errno.errorcode[ctypes.get_errno()]] if result else []
    print(*told)
"""


class TestEnd:
    @pytest.mark.parametrize(
        "command",
        [
            "exec sleep 60",
            "sleep 60 & wait",
            "trap '' TERM; sleep 60 & wait; sleep 60",
            "(trap '' TERM; sleep 60 & wait) & wait",
            "kill -STOP $$ & wait",
            "yes >/dev/null & while :; do :; done",
            "setsid sleep 60 & setsid setsid sleep 60 & wait",
            "cd / && setsid sh -c 'sleep 60 & wait' $OLDPWD & wait",
        ],
    )
    async def test_at_the_time_limit_everything_is_ended(
        self, commands: ConfinedCommands, root: Path, command: str
    ) -> None:
        outcome = await shell(commands, f"echo begun; {command}", timeout=0.5)
        assert outcome.timed_out
        assert (outcome.exit_code, outcome.signal, outcome.stdout.text) == (None, None, "begun\n")
        assert 0.5 <= outcome.duration_seconds < 0.5 + END + SLACK
        assert not is_running(root)

    async def test_a_command_may_clean_up_before_it_is_killed(self, commands: ConfinedCommands, root: Path) -> None:
        text = "trap 'echo done > cleaned; exit 0' TERM; while :; do sleep 0.01; done"
        outcome = await shell(commands, text, timeout=0.5)
        assert outcome.timed_out
        assert (root / "cleaned").read_text() == "done\n"

    @pytest.mark.parametrize("redirection", ["", " >/dev/null 2>&1"])
    @pytest.mark.parametrize("start", ["", "setsid ", "nohup ", "cd /; setsid sh -c 'sleep 60 & wait' $OLDPWD "])
    async def test_what_runs_in_the_background_is_ended_with_the_command(
        self, commands: ConfinedCommands, root: Path, start: str, redirection: str
    ) -> None:
        outcome = await shell(commands, f"{start}sleep 60{redirection} & echo started")
        assert (outcome.exit_code, outcome.timed_out, outcome.stdout.text) == (0, False, "started\n")
        assert outcome.duration_seconds < END + SLACK
        assert not is_running(root)

    async def test_cancellation_ends_everything(self, commands: ConfinedCommands, root: Path) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(shell, commands, "trap '' TERM; setsid sleep 60 & touch ready; wait")
            await eventually((root / "ready").exists, "the command has started")
            cancelled_at = time.monotonic()
            group.cancel_scope.cancel()
        assert time.monotonic() - cancelled_at < END + SLACK
        assert not is_running(root)

    @pytest.mark.parametrize("times", [1, 2])
    async def test_a_cancelled_task_ends_everything_even_when_it_is_cancelled_again(
        self, commands: ConfinedCommands, root: Path, times: int
    ) -> None:
        task = asyncio.ensure_future(shell(commands, "trap '' TERM; sleep 60 & touch ready; wait; sleep 60"))
        await eventually((root / "ready").exists, "the command has started")
        for _ in range(times):
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: not is_running(root), "everything has ended")

    async def test_a_supervisor_that_is_slow_is_not_killed_so_that_it_still_ends_everything(
        self, commands: ConfinedCommands, root: Path
    ) -> None:
        before = supervisors()
        task = asyncio.ensure_future(shell(commands, "setsid sh -c 'sleep 60 & wait' & touch ready; wait"))
        await eventually((root / "ready").exists, "the command has started")
        (stopped,) = supervisors() - before
        os.kill(stopped, signal.SIGSTOP)
        try:
            task.cancel()
            await asyncio.wait([task], timeout=PATIENCE)
            assert task.done()
        finally:
            with suppress(ProcessLookupError):
                os.kill(stopped, signal.SIGCONT)
        await eventually(lambda: not is_running(root), "everything has ended")

    async def test_neither_descriptors_nor_processes_are_left(self, commands: ConfinedCommands) -> None:
        await shell(commands, "true")
        own_children = Path(f"/proc/self/task/{os.getpid()}/children")
        before, children = len(os.listdir("/proc/self/fd")), own_children.read_text()
        for command in ("true", "sleep 60 &", "exec sleep 60", "head -c 100000 /dev/zero"):
            await shell(commands, command, timeout=0.3)
        commands.close()
        assert len(os.listdir("/proc/self/fd")) == before
        assert own_children.read_text() == children


class TestOnTheStandardLoop:
    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return "asyncio", {"use_uvloop": False}

    async def test_a_command_runs_to_its_end_or_its_limit(self, commands: ConfinedCommands, root: Path) -> None:
        assert (await shell(commands, "echo out")).stdout.text == "out\n"
        assert (await shell(commands, "setsid sleep 60", timeout=0.3)).timed_out
        assert not is_running(root)

    async def test_cancellation_ends_everything(self, commands: ConfinedCommands, root: Path) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(shell, commands, "setsid sleep 60 & touch ready; wait")
            await eventually((root / "ready").exists, "the command has started")
            group.cancel_scope.cancel()
        assert not is_running(root)


class TestRefusal:
    @pytest.mark.parametrize("seconds", [0, -1, LONGEST + 1, float("nan"), float("inf")])
    async def test_a_time_limit_that_cannot_be_kept_is_refused(self, files: RootedFiles, seconds: float) -> None:
        with pytest.raises(OperationFailed, match=r"above 0 and at most 20 seconds \(commands\.max_timeout_seconds\)"):
            await shell(confined(files), "echo here", timeout=seconds)

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (Program(shell="echo a\0b"), "NUL"),
            (Program(shell="echo \ud800"), "valid text"),
            (Program(shell=f"echo {'x' * 200_000}"), "too long"),
            (Program(), "Give either argv"),
            (Program(("true",), "true"), "Give either argv"),
            (Program(("",)), "name a program"),
            (Program(("no-such-program",)), "^The command was not run: no-such-program: no such program in the PATH"),
            (Program(("./file.txt",)), r"^The command was not run: \./file\.txt: not allowed to run here"),
        ],
    )
    async def test_a_command_that_cannot_be_run_is_refused(
        self, files: RootedFiles, tier: Wanted, command: Program, words: str
    ) -> None:
        with pytest.raises(OperationFailed, match=words):
            await confined(files, sandbox=tier).run(command, "owner")

    async def test_the_shell_is_a_permission_of_its_own(self, files: RootedFiles) -> None:
        commands = confined(files, shell=False)
        with pytest.raises(OperationFailed, match=r"not allowed here \(commands\.shell\): give argv"):
            await shell(commands, "true")
        assert (await commands.run(Program(("true",)), "owner")).exit_code == 0

    @pytest.mark.parametrize(
        ("argv", "is_allowed"),
        [
            (("git", "status"), True),
            (("git", "status", "-s"), False),
            (("git",), False),
            (("npm", "run", "build"), True),
            (("npm", "run"), False),
            (("ls",), True),
            (("ls", "-l", "a b"), True),
            (("lsof",), False),
            (("echo", "a b"), True),
            (("echo", "a"), False),
            (("/bin/sh", "-c", "git status"), False),
        ],
    )
    def test_only_what_fits_a_pattern_may_be_run(self, argv: tuple[str, ...], is_allowed: bool) -> None:
        permission = Permission(shell=True, allow=["git status", "npm run *", "ls **", "echo 'a b'"])
        if is_allowed:
            assert permission.arguments(Program(argv)) == list(argv)
        else:
            with pytest.raises(
                OperationFailed, match=r"This command is not allowed: commands\.allow lists only git status"
            ):
                permission.arguments(Program(argv))
        with pytest.raises(OperationFailed, match="allowed"):
            permission.arguments(Program(shell="git status"))
        texts = Permission(shell=True, allow=["/bin/sh -c *"])
        assert texts.arguments(Program(shell="git status; ls")) == ["/bin/sh", "-c", "git status; ls"]

    @pytest.mark.parametrize("line", ["", "  ", "**", "git 'status"])
    def test_a_pattern_that_cannot_be_read_is_an_error_at_start(self, line: str) -> None:
        with pytest.raises(ValueError, match=r"^commands\.allow: "):
            Permission(shell=True, allow=[line])

    async def test_a_tier_that_is_not_there_is_never_replaced_by_less(self, files: RootedFiles) -> None:
        cases: list[tuple[Findings, Wanted]] = [
            (Findings("no Landlock", "no bubblewrap", None), "auto"),
            (Findings("no Landlock", None, None), "landlock"),
            (Findings(None, "no bubblewrap", None), "bwrap"),
        ]
        for found, wanted in cases:
            commands = confined(files, sandbox=wanted, find=partial(replace, found))
            with pytest.raises(OperationFailed, match=r"sandbox is not available \(.*no .*doctor.*commands\.sandbox"):
                await shell(commands, "echo here")
