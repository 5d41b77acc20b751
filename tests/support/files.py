"""File stores and command runners over real directories, composed as in the server but with small limits."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tfo_mcp.infrastructure.commands import CommandLimits, CommandRights, ConfinedCommands, Permission
from tfo_mcp.infrastructure.files import FileLimits, RootedFiles
from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.policy import ProgramLimits
from tfo_mcp.infrastructure.sandbox.reader_process import start_reader
from tfo_mcp.infrastructure.sandbox.tiers import Find, Wanted

LIMIT = 1000  # maximum bytes of one read, write or command output
ENTRIES = 20
PROGRAM = ProgramLimits(cpu_seconds=60, memory_bytes=1 << 30, file_bytes=1 << 26, processes=64)


def rooted(
    *roots: str | os.PathLike[str],
    read_only: Sequence[str | os.PathLike[str]] = (),
    read_bytes: int = LIMIT,
    write_bytes: int = LIMIT,
    entries: int = ENTRIES,
    search_seconds: float = 10.0,
    sandbox: Wanted = "auto",
    find: Find = tiers.find,
    report_seconds: float = 0.1,
) -> RootedFiles:
    """Return a file store over these roots; the roots in `read_only` come after the others."""
    every = [*((root, False) for root in roots), *((root, True) for root in read_only)]
    limits = FileLimits(read_bytes, write_bytes, entries, search_seconds)
    return RootedFiles(every, limits, partial(start_reader, sandbox, find), report_seconds)


def confined(
    files: RootedFiles,
    *,
    sandbox: Wanted = "auto",
    output_bytes: int = LIMIT,
    saved_bytes: int = 1 << 20,
    timeout_seconds: float = 10.0,
    max_timeout_seconds: float = 20.0,
    program: ProgramLimits = PROGRAM,
    shell: bool = True,
    allow: Sequence[str] = (),
    network: bool = False,
    readable: Sequence[Path] = (),
    passed_on: Sequence[str] = (),
    open_directory: Callable[[str], int] | None = None,
    environment: Mapping[str, str] | None = None,
    find: Find = tiers.find,
) -> ConfinedCommands:
    """Return a command runner for the roots of a store."""
    return ConfinedCommands(
        lambda: files.descriptors,
        open_directory or files.open_directory,
        CommandRights(sandbox, readable, passed_on, network, Permission(shell=shell, allow=allow)),
        CommandLimits(timeout_seconds, max_timeout_seconds, output_bytes, saved_bytes, program),
        environment,
        find,
    )
