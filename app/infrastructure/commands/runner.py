"""ConfinedCommands: the CommandRunner that runs programs in the sandbox.

Owns what a command gets (arguments, environment, directory, time) and what is told of it. Each command has a
supervisor, which ends all that it has started; this module only says when. Runs on any asyncio event loop.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import anyio.to_thread
import structlog

from app.application.fair_limiter import FairLimiter
from app.application.ports import Command, CommandOutcome, OnOutput
from app.domain.errors import OperationFailed
from app.infrastructure.commands.output import Draining
from app.infrastructure.commands.permission import Permission
from app.infrastructure.commands.removing import remove_tree
from app.infrastructure.commands.saved import SavedOutputs
from app.infrastructure.linux import landlock, seccomp
from app.infrastructure.sandbox import tiers
from app.infrastructure.sandbox.launching import Launched, launch
from app.infrastructure.sandbox.places import system_places
from app.infrastructure.sandbox.policy import Limits, Place, Policy
from app.infrastructure.sandbox.tiers import Find, Tier, Wanted

_log = structlog.get_logger("tfo_mcp.commands")
_ALWAYS_PASSED_ON = frozenset({"LANG", "LC_ALL", "TERM", "TZ"})
_MOST_AT_ONCE = 32
_MOST_OF_ONE_ACCOUNT = 16
_END_SECONDS = 2.0  # so long a supervisor may take to end, which kills what it has after 0.3 seconds
_NEWS_SECONDS = 0.1
_START_SECONDS = 10.0
_NOT_ENTERED = "the sandbox could not be entered, or was ended from outside"
_LONGEST_WORDS = 64 * 1024

Roots = Callable[[], Sequence[tuple[int, str, bool]]]
"""Gives the roots: descriptors that stay open, absolute paths, and whether they are only read."""


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """Seconds (by default and at most), bytes of each output in an answer and of all that are saved, and the
    program's."""

    timeout_seconds: float
    max_timeout_seconds: float
    output_bytes: int
    saved_bytes: int
    program: Limits


@dataclass(frozen=True, slots=True)
class CommandRights:
    """What commands may do.

    `sandbox` is the wanted tier; `readable` are paths beside the system set; `environment` names variables of the
    server's that commands get; `network` is whether they have the internet's sockets; `permission` says which may be
    run.
    """

    sandbox: Wanted
    readable: Sequence[Path]
    environment: Sequence[str]
    network: bool
    permission: Permission


class ConfinedCommands:
    """Runs commands beneath the roots.

    Args:
        open_directory: gives a descriptor of the directory of a path, for this object to close, or raises
            OperationFailed.
        environment: where the variables that commands get are taken from; the server's own by default.
        find: looks at which tiers the machine offers.
    """

    def __init__(
        self,
        roots: Roots,
        open_directory: Callable[[str], int],
        rights: CommandRights,
        limits: CommandLimits,
        environment: Mapping[str, str] | None = None,
        find: Find = tiers.find,
    ) -> None:
        self._roots = roots
        self._find = find
        self._open_directory = open_directory
        self._rights = rights
        self._limits = limits
        self._environment = os.environ if environment is None else environment
        self._saved = SavedOutputs(limits.saved_bytes)
        self._at_once = FairLimiter(_MOST_AT_ONCE, _MOST_OF_ONE_ACCOUNT)

    def close(self) -> None:
        """Throw the saved outputs away."""
        self._saved.close()

    async def run(self, command: Command, owner: str, on_output: OnOutput | None = None) -> CommandOutcome:
        """Run a command to its end, its time limit or cancellation.

        Raises:
            OperationFailed: it may not or cannot be run.
        """
        argv = self._rights.permission.arguments(command)
        limit = self._limit(command.timeout_seconds)
        async with self._at_once.turn():
            tier = await anyio.to_thread.run_sync(tiers.require, self._rights.sandbox, self._find)
            started = time.monotonic()
            async with self._launched(argv, command.working_dir, tier) as launched:
                draining = Draining(launched.outputs, self._limits.output_bytes, self._saved, owner)
                end = await _watch(launched, draining, limit, on_output)
                duration = time.monotonic() - started
                if end.problem is not None:
                    raise OperationFailed(f"The command was not run: {end.problem}")
                return _outcome(end, draining, tier, duration)

    async def saved_output(self, name: str, owner: str, first: int, last: int | None) -> bytes:
        """Return bytes of an output that was saved."""
        return await anyio.to_thread.run_sync(self._saved.read, name, owner, first, last)

    def _limit(self, asked: float | None) -> float:
        if asked is None:
            return self._limits.timeout_seconds
        if not 0 < asked <= self._limits.max_timeout_seconds:
            raise OperationFailed(
                f"The timeout must be above 0 and at most {self._limits.max_timeout_seconds:g} seconds "
                "(commands.max_timeout_seconds)"
            )
        return asked

    @asynccontextmanager
    async def _launched(self, argv: Sequence[str], working_dir: str | None, tier: Tier) -> AsyncIterator["_Running"]:
        """Start the command; at the end of the block nothing of it is left."""
        with anyio.CancelScope(shield=True):  # what has begun is there to be ended
            launched, temporary = await anyio.to_thread.run_sync(self._launch, argv, working_dir, tier)
        running = _Running(launched, tier)
        try:
            yield running
        finally:
            with anyio.CancelScope(shield=True):
                await running.close()
                await anyio.to_thread.run_sync(remove_tree, temporary)

    def _launch(self, argv: Sequence[str], working_dir: str | None, tier: Tier) -> tuple[Launched, str]:
        """Start the command; return it and the directory that goes with it."""
        directory = self._open_directory("." if working_dir is None else working_dir)
        try:
            temporary = tempfile.mkdtemp(prefix="tfo-mcp-command-")
            try:
                return launch(self._policy(argv, directory, temporary, tier), tier), temporary
            except BaseException:
                remove_tree(temporary)
                raise
        except OSError as problem:
            raise OperationFailed(f"The sandbox cannot be started: {problem.strerror}") from None
        finally:
            os.close(directory)

    def _policy(self, argv: Sequence[str], directory: int, temporary: str, tier: Tier) -> Policy:
        roots = self._roots()
        writable = [Place(path, descriptor) for descriptor, path, read_only in roots if not read_only]
        readable = [Place(path, descriptor) for descriptor, path, read_only in roots if read_only]
        readable += [Place(os.path.abspath(path)) for path in self._rights.readable]
        is_confined = tier != "none"
        abi = landlock.abi()
        return Policy(
            argv=tuple(argv),
            environment=self._variables(temporary),
            directory=Place(os.readlink(f"/proc/self/fd/{directory}") if tier == "bwrap" else "", directory),
            writable=(*writable, Place(temporary)),
            readable=(*system_places(), *readable),
            network=self._rights.network,
            limits=self._limits.program,
            landlock_abi=abi if is_confined and abi >= landlock.LEAST_ABI else 0,
            filtered=is_confined and seccomp.available(),
        )

    def _variables(self, temporary: str) -> dict[str, str]:
        wanted = _ALWAYS_PASSED_ON.union(self._rights.environment)
        passed_on = {
            name: value for name, value in self._environment.items() if name in wanted or name.startswith("LC_")
        }
        own = {"PATH": self._environment.get("PATH") or os.defpath, "HOME": temporary, "TMPDIR": temporary}
        return own | passed_on


@dataclass(frozen=True, slots=True)
class _End:
    """How a command ended: its exit code, negative for a signal, None if it was ended; and why.

    `problem` says why it was not run.
    """

    code: int | None
    timed_out: bool = False
    too_many_processes: bool = False
    problem: str | None = None


class _Running:
    """A command that runs, and its supervisor."""

    def __init__(self, launched: Launched, tier: Tier) -> None:
        assert launched.process.stdout is not None
        assert launched.process.stderr is not None
        self._process = launched.process
        self._tier = tier
        self._control = launched.control
        self._control.setblocking(False)
        self._rest = b""
        self.outputs = (launched.process.stdout, launched.process.stderr)

    async def ended(self, limit: float) -> _End:
        """Wait for the command's end, and bring it about when its time is over or nobody waits for it any more."""
        try:
            begun: Mapping[str, Any] = {}
            with anyio.move_on_after(_START_SECONDS):
                begun = await self._message()
            if "started" not in begun:
                return _End(None, problem=begun.get("failed", _NOT_ENTERED))
            return await self._finished(limit)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stop()
            raise

    async def _finished(self, limit: float) -> _End:
        """Wait for the end of a command that has begun."""
        with anyio.move_on_after(limit) as time_limit:
            message = await self._message()
        if time_limit.cancelled_caught:
            with anyio.CancelScope(shield=True):
                message = await self._stop()
        return _End(message.get("code"), time_limit.cancelled_caught, message.get("too_many_processes", False))

    async def close(self) -> None:
        """Have the supervisor end, and with it whatever is left.

        One that takes long is never killed, unless the kernel then kills all in its namespace: what it holds would be
        without anybody who ends it.
        """
        self._control.close()
        with anyio.move_on_after(_END_SECONDS) as waiting:
            await anyio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        if waiting.cancelled_caught:
            if self._tier == "bwrap":
                self._process.kill()
            _log.warning("a command's processes take long to end", tier=self._tier)
            Thread(target=self._process.wait, name="tfo-mcp last wait", daemon=True).start()
        for stream in self.outputs:
            stream.close()

    async def _stop(self) -> Mapping[str, Any]:
        with suppress(OSError), anyio.move_on_after(_END_SECONDS):
            self._control.send(b"end\n")
            while (message := await self._message()) and "started" in message:
                pass
            return message
        return {}

    async def _message(self) -> Mapping[str, Any]:
        """Return what the supervisor says next; nothing when it has ended."""
        line = await self._line()
        return {} if line is None else json.loads(line)

    async def _line(self) -> bytes | None:
        while b"\n" not in self._rest:
            try:
                chunk = self._control.recv(_LONGEST_WORDS)
            except BlockingIOError:
                await anyio.wait_readable(self._control)
                continue
            except ConnectionError:
                return None
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line


async def _watch(running: _Running, draining: Draining, limit: float, on_output: OnOutput | None) -> _End:
    """Return how the command ended; its outputs are read to their ends."""
    read = anyio.Event()

    async def read_outputs() -> None:
        await anyio.to_thread.run_sync(draining.run, limiter=anyio.CapacityLimiter(1))
        read.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_outputs)
        if on_output is not None:
            tasks.start_soon(_tell, draining, on_output)
        try:
            end = await running.ended(limit)
            with anyio.move_on_after(_END_SECONDS):
                await read.wait()
        finally:
            draining.abandon()
            tasks.cancel_scope.cancel()
    return end


async def _tell(draining: Draining, on_output: OnOutput) -> None:
    """Tell of new output now and then, as long as this is not cancelled."""
    told = 0
    while True:
        await anyio.sleep(_NEWS_SECONDS)
        if draining.size > told:
            told = draining.size
            await on_output(told, draining.news())


def _outcome(end: _End, draining: Draining, tier: Tier, duration: float) -> CommandOutcome:
    stdout, stderr = draining.results()
    code = None if end.timed_out else end.code
    return CommandOutcome(
        exit_code=code if code is not None and code >= 0 else None,
        signal=_signal_name(-code) if code is not None and code < 0 else None,
        stdout=stdout,
        stderr=stderr,
        timed_out=end.timed_out,
        duration_seconds=duration,
        sandbox=tier,
        too_many_processes=end.too_many_processes,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal
