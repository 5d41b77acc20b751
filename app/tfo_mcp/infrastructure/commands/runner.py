"""ConfinedCommands: the CommandRunner that runs programs in the sandbox.

Owns the lifecycle of a command: permission, queueing, time limit, cancellation and result. Each command has a
supervisor process, which kills all processes of the command when this module says so. Runs on any asyncio event loop.
"""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any

import anyio
import anyio.to_thread
import structlog

from tfo_mcp.application.fair_limiter import FairLimiter
from tfo_mcp.application.ports import CommandOutcome, OnOutput, Program
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.commands.output import OutputReader
from tfo_mcp.infrastructure.commands.output_store import SavedOutputs
from tfo_mcp.infrastructure.commands.policies import CommandRights, Policies, Roots
from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.launcher import Launched, launch
from tfo_mcp.infrastructure.sandbox.policy import ProgramLimits
from tfo_mcp.infrastructure.sandbox.protected import NOTHING, Protected
from tfo_mcp.infrastructure.sandbox.sealed_code import supervisor_sources
from tfo_mcp.infrastructure.sandbox.temporary import TemporaryDirectory, remove_abandoned
from tfo_mcp.infrastructure.sandbox.tiers import Find, Tier
from tfo_mcp.value_objects import value_object

_log = structlog.get_logger("tfo_mcp.commands")
_MOST_AT_ONCE = 32
_MOST_OF_ONE_ACCOUNT = 16
_END_SECONDS = 2.0  # for a supervisor to exit; it kills its processes after 0.3 seconds
_NEWS_SECONDS = 0.1
_START_SECONDS = 10.0
_NOT_ENTERED = "the sandbox could not be entered, or was killed from outside"
_UNCOVERED = (
    "files that belong to the server itself ({}) are in directories that commands use, and this system does not allow "
    "hiding them from commands (mount namespaces: {}): move them, or serve other directories (files.roots)"
)
_LONGEST_WORDS = 64 * 1024


@value_object
class CommandLimits:
    """The default and maximum timeout, maximum bytes of each output in a result and of all stored outputs, and the
    limits of a program."""

    timeout_seconds: float
    max_timeout_seconds: float
    output_bytes: int
    saved_bytes: int
    program: ProgramLimits


class ConfinedCommands:
    """Runs commands beneath the roots.

    Args:
        open_directory: returns a descriptor of the directory at a path, which this object closes, or raises
            OperationFailed.
        environment: the variables that commands may inherit; by default those of the server.
        find: detects the tiers that the machine offers.
        protected: files that no command may access, wherever they lie; not enforced in the tier `none`.

    Raises:
        OSError: the supervisor's code cannot be read.
    """

    def __init__(
        self,
        roots: Roots,
        open_directory: Callable[[str], int],
        rights: CommandRights,
        limits: CommandLimits,
        environment: Mapping[str, str] | None = None,
        find: Find = tiers.find,
        protected: Protected = NOTHING,
    ) -> None:
        supervisor_sources()  # read before a command could replace them
        Thread(target=remove_abandoned, name="tfo-mcp temporary directories", daemon=True).start()
        variables = os.environ if environment is None else environment
        self._policies = Policies(roots, rights, limits.program, variables, protected)
        self._find = find
        self._open_directory = open_directory
        self._rights = rights
        self._limits = limits
        self._saved = SavedOutputs(limits.saved_bytes)
        self._at_once = FairLimiter(_MOST_AT_ONCE, _MOST_OF_ONE_ACCOUNT)

    def close(self) -> None:
        """Delete the stored outputs."""
        self._saved.close()

    def obstacle(self) -> str | None:
        """Return why no command can run because of where the server's own files are, None if they can be covered."""
        try:
            self._policies.covers("none" if self._rights.sandbox == "none" else "landlock")
        except OperationFailed as problem:
            return problem.message
        return None

    async def run(self, command: Program, owner: str, on_output: OnOutput | None = None) -> CommandOutcome:
        """Run a command to its end, its time limit or cancellation.

        Raises:
            OperationFailed: the command is not allowed, or cannot be run.
        """
        argv = self._rights.permission.arguments(command)
        limit = self._limit(command.timeout_seconds)
        async with self._at_once.turn():
            tier = await anyio.to_thread.run_sync(tiers.require, self._rights.sandbox, self._find)
            started = time.monotonic()
            async with self._launched(argv, command.working_dir, tier) as launched:
                draining = OutputReader(launched.outputs, self._limits.output_bytes, self._saved, owner)
                end = await _watch(launched, draining, limit, on_output)
                duration = time.monotonic() - started
                if end.problem is not None:
                    raise OperationFailed(f"The command was not run: {end.problem}")
                return _outcome(end, draining, tier, duration)

    async def saved_output(self, name: str, owner: str, first: int, last: int | None) -> bytes:
        """Return bytes of a stored output; see `SavedOutputs.read`."""
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
        """Start the command; at the end of the block all its processes are gone."""
        with anyio.CancelScope(shield=True):  # a started command must be cleaned up
            launched, temporary, covered = await anyio.to_thread.run_sync(self._launch, argv, working_dir, tier)
        running = _Running(launched, tier, covered)
        try:
            yield running
        finally:
            with anyio.CancelScope(shield=True):
                await running.close()
                await anyio.to_thread.run_sync(temporary.remove)

    def _launch(
        self, argv: Sequence[str], working_dir: str | None, tier: Tier
    ) -> tuple[Launched, TemporaryDirectory, Sequence[str]]:
        """Start the command; return it, its temporary directory, and the settings that require its covers."""
        directory = self._open_directory("." if working_dir is None else working_dir)
        try:
            temporary = TemporaryDirectory.make()
            try:
                covers, settings = self._policies.covers(tier)
                policy = self._policies.policy(argv, directory, temporary, tier, covers)
                return launch(policy, tier), temporary, settings
            except BaseException:
                temporary.remove()
                raise
        except OSError as problem:
            raise OperationFailed(f"The sandbox cannot be started: {problem.strerror}") from None
        finally:
            os.close(directory)


@value_object
class _End:
    """How a command ended: its exit code, negative for a signal, None if it was stopped.

    `problem` is the reason if it could not be run.
    """

    code: int | None
    timed_out: bool = False
    too_many_processes: bool = False
    problem: str | None = None


class _Running:
    """A running command and its supervisor."""

    def __init__(self, launched: Launched, tier: Tier, covered: Sequence[str]) -> None:
        assert launched.process.stdout is not None
        assert launched.process.stderr is not None
        self._process = launched.process
        self._tier = tier
        self._covered = covered
        self._control = launched.control
        self._control.setblocking(False)
        self._rest = b""
        self.outputs = (launched.process.stdout, launched.process.stderr)

    async def ended(self, limit: float) -> _End:
        """Wait for the command to exit; stop it after `limit` seconds or on cancellation."""
        try:
            begun: Mapping[str, Any] = {}
            with anyio.move_on_after(_START_SECONDS):
                begun = await self._message()
            if "uncovered" in begun:
                return _End(None, problem=_UNCOVERED.format(", ".join(self._covered), begun["failed"]))
            if "started" not in begun:
                return _End(None, problem=begun.get("failed", _NOT_ENTERED))
            return await self._finished(limit)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stop()
            raise

    async def _finished(self, limit: float) -> _End:
        """Wait for a started command to exit; stop it after `limit` seconds."""
        with anyio.move_on_after(limit) as time_limit:
            message = await self._message()
        if time_limit.cancelled_caught:
            with anyio.CancelScope(shield=True):
                message = await self._stop()
        return _End(message.get("code"), time_limit.cancelled_caught, message.get("too_many_processes", False))

    async def close(self) -> None:
        """Make the supervisor kill the remaining processes and exit.

        A slow supervisor is killed only in the tier `bwrap`, where the kernel then kills its whole PID namespace.
        Elsewhere its processes would survive it.
        """
        self._control.close()
        with anyio.move_on_after(_END_SECONDS) as waiting:
            await anyio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        if waiting.cancelled_caught:
            if self._tier == "bwrap":
                self._process.kill()
            _log.warning("the processes of a command are slow to exit", tier=self._tier)
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
        """Return the next message of the supervisor, empty if it has exited."""
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


async def _watch(running: _Running, draining: OutputReader, limit: float, on_output: OnOutput | None) -> _End:
    """Return how the command ended, after reading its outputs to their ends."""
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


async def _tell(draining: OutputReader, on_output: OnOutput) -> None:
    """Report new output periodically until cancelled."""
    told = 0
    while True:
        await anyio.sleep(_NEWS_SECONDS)
        if draining.size > told:
            told = draining.size
            await on_output(told, draining.news())


def _outcome(end: _End, draining: OutputReader, tier: Tier, duration: float) -> CommandOutcome:
    stdout, stderr = draining.results()
    code = None if end.timed_out else end.code
    return CommandOutcome(
        exit_code=code if code is not None and code >= 0 else None,
        signal=_signal_name(-code) if code is not None and code < 0 else None,
        stdout=stdout,
        stderr=stderr,
        shown=draining.shown(),
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
